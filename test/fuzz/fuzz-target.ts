// One target's run: inputs from its corpus, by its grammar and by mutation, each checked; what went as none before it is
// mutated on. A run is its seed: the same seed and count try the same cases.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { diceFor, diceOf } from "./dice.ts";
import { mutated } from "./mutate.ts";
import type { Target } from "./target.ts";

const rule = {
  /** Inputs that are mutated on. */
  poolMost: 4_000,
  /** Ways to go that are told apart. */
  waysMost: 20_000,
  /** A case that takes longer, and again when it is repeated, is a finding: a parser must not be led astray. */
  slowMs: 250,
  /** Of a target's corpus. */
  keptMost: 150,
  keptBytesMost: 1_000,
} as const;

export interface Finding {
  readonly input: Uint8Array;
  readonly why: string;
}

export interface Fuzzed {
  readonly cases: number;
  /** Different ways in which they went. */
  readonly ways: number;
  /** The first; after it the run has ended. */
  readonly finding: Finding | undefined;
  /** Inputs that went as none before them, of this run. */
  readonly found: readonly Uint8Array[];
}

export function corpusOf(name: string): Uint8Array[] {
  const file = corpusFile(name);
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => Uint8Array.from(Buffer.from(String(JSON.parse(line)), "latin1")));
}

/** A JSON text a line: an input, byte for byte, as latin1. */
const corpusFile = (name: string): string => join(import.meta.dir, "corpus", `${name}.jsonl`);

/** Of the corpus and what was found: of each way to go the shortest, as many as are worth keeping. */
export function keep(target: Target, found: readonly Uint8Array[]): number {
  const shortest = new Map<string, Uint8Array>();
  for (const input of [...corpusOf(target.name), ...found].sort((a, b) => a.length - b.length)) {
    const way = target.check(input.slice(), diceFor(input));
    if (!shortest.has(way)) shortest.set(way, input);
  }
  const kept = [...shortest.values()]
    .filter(({ length }) => length <= rule.keptBytesMost)
    .slice(0, rule.keptMost);
  const lines = kept.map((input) => `${JSON.stringify(Buffer.from(input).toString("latin1"))}\n`);
  writeFileSync(corpusFile(target.name), lines.join(""));
  return kept.length;
}

/** `pace` is told now and then how many cases there were. */
export function fuzzTarget(
  target: Target,
  {
    cases,
    seed,
    pace,
  }: { readonly cases: number; readonly seed: number; readonly pace?: (cases: number) => void },
): Fuzzed {
  const dice = diceOf(seed);
  const pool: Uint8Array[] = [];
  const found: Uint8Array[] = [];
  const ways = new Set<string>();
  const nothing = new Uint8Array();
  const corpus = corpusOf(target.name);

  const next = (index: number): Uint8Array => {
    const kept = corpus[index];
    if (kept !== undefined) return kept;
    if (pool.length === 0 || dice.chance(0.2)) return target.generate(dice);
    const other = pool[dice.int(pool.length)] ?? nothing;
    return mutated(pool[dice.int(pool.length)] ?? nothing, other, target.words, dice);
  };

  let index = 0;
  for (; index < cases || index < corpus.length; index += 1) {
    const input = next(index);
    const finding = tried(target, input, (way) => {
      if (ways.has(way) || ways.size >= rule.waysMost) return;
      ways.add(way);
      if (index >= corpus.length) found.push(input);
      if (pool.length < rule.poolMost) pool.push(input);
      else pool[dice.int(pool.length)] = input;
    });
    if (finding !== undefined) return { cases: index + 1, ways: ways.size, finding, found };
    if (index % 4096 === 4095) pace?.(4096);
  }
  pace?.(index % 4096);
  return { cases: index, ways: ways.size, finding: undefined, found };
}

function tried(target: Target, input: Uint8Array, went: (way: string) => void): Finding | undefined {
  const once = (): number => {
    const began = performance.now();
    const usedBefore = process.cpuUsage();
    // A check may write in what it is given.
    went(target.check(input.slice(), diceFor(input)));
    const used = process.cpuUsage(usedBefore);
    // Whichever is less: a machine that stalls lets time pass, and a collector at work beside it uses more.
    return Math.min(performance.now() - began, (used.user + used.system) / 1000);
  };
  try {
    // The collector's pauses fall on anybody, but not three times on the same.
    if (once() < rule.slowMs || once() < rule.slowMs || once() < rule.slowMs) return undefined;
    return { input, why: `it takes longer than ${rule.slowMs} ms` };
  } catch (error) {
    return { input, why: error instanceof Error ? (error.stack ?? error.message) : String(error) };
  }
}
