// 100,000 NPC intents while the engine hangs, is dead, is slow, or is not there at all: the compiled binary answers
// every one with a valid action, in time, and forgets nothing and leaks nothing.

import { expect, test } from "bun:test";
import { percentile } from "../../bench/rig/statistics.ts";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { chat, messages, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { decodeAnswers, encodeAsk } from "../support/frame-client.ts";
import {
  archetypesOf,
  askBatch,
  openStream,
  scoutActions,
  scoutFeatures,
  scoutToml,
} from "../support/intent-client.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

const deadlineMs = 14;
const rule = {
  /** Of each, JSON and frames. */
  asks: 50_000,
  rounds: 5,
  batch: 250,
  atOnce: 2,
  /** What client and router may take longer than for the same batches without a wait, where both share their cores. */
  marginMs: 60,
  rssMost: 150e6,
  wallMs: 15_000,
} as const;

/** Of the calmest round: a machine that stands still for a moment says nothing about the router. */
const calmest = (rounds: readonly (readonly number[])[], share: number): number =>
  Math.min(...rounds.map((times) => percentile(times, share)));

/** Calls `ask` with the first of each batch of situations, a few at a time; how long each took, by round. */
async function inBatches(ask: (from: number) => Promise<void>): Promise<number[][]> {
  const rounds: number[][] = [];
  let next = 0;
  const worker = async (until: number, times: number[]): Promise<void> => {
    while (next < until) {
      const from = next;
      next += rule.batch;
      const began = performance.now();
      await ask(from);
      times.push(performance.now() - began);
    }
  };
  for (let round = 1; round <= rule.rounds; round += 1) {
    const times: number[] = [];
    const until = (rule.asks / rule.rounds) * round;
    await Promise.all(Array.from({ length: rule.atOnce }, () => worker(until, times)));
    rounds.push(times);
  }
  return rounds;
}

/** What the configuration says of Gold then. */
const troubles: readonly [string, () => Promise<string>][] = [
  [
    "hangs",
    async () => {
      const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
      gold.fault({ kind: "hang" });
      return engineToml("gold", gold.url);
    },
  ],
  [
    "is dead",
    async () => {
      const gold = await startSimulatedEngine({ model: "small" });
      await gold.stop();
      return engineToml("gold", gold.url);
    },
  ],
  [
    "needs 40 ms a token",
    async () => {
      const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 40 }));
      return engineToml("gold", gold.url);
    },
  ],
  ["is not there", async () => ""],
];

test.each(troubles)(
  "an engine that %s: 100,000 asks get a valid action within the deadline, and dialogue elsewhere goes on",
  async (_, trouble) => {
    const gold = await trouble();
    const silver = ends(await startSimulatedEngine({ model: "large", msPerToken: 1 }));
    // Intents climb the realtime ladder, and Silver is for dialogue here.
    const config = `${gold}${engineToml("silver", silver.url)}[sla.realtime]\nladder = ["gold"]\n[intents]\ndeadline_ms = ${deadlineMs}\n${scoutToml}`;
    const router = ends(await startTierline({ config }));
    const { epoch } = await archetypesOf(router.url);
    const began = performance.now();

    const json = (from: number, more: object) =>
      askBatch(
        router.url,
        Array.from({ length: rule.batch }, (_, at) => ({
          archetype: "scout",
          npc: from + at,
          features: scoutFeatures(from + at),
          ...more,
        })),
      );
    const stream = ends(await openStream(router.url));
    const frames = async (from: number, flags: number) => {
      const asks = Array.from({ length: rule.batch }, (_, at) => ({
        situation: rule.asks + from + at,
        npc: from + at,
        archetype: 0,
        flags,
      }));
      stream.send(encodeAsk(from, epoch, asks));
      return decodeAnswers(await stream.answerTo(from));
    };
    // The same work without any waiting, on a machine as busy as it is now: what is not the engine's doing.
    const idleJson = await inBatches(async (from) => void (await json(from, { archetype: "stranger" })));
    const idleFrames = await inBatches(async (from) => void (await frames(from, 3)));
    const rssBefore = await router.metric("process_resident_memory_bytes");
    const counted = async () => ({
      answered: await router.metric("tierline_intents_total", { archetype: "scout" }),
      timed: await router.metric("tierline_intent_duration_seconds_count"),
      looked:
        (await router.metric("tierline_cache_hits_total", { cache: "intents" })) +
        (await router.metric("tierline_cache_misses_total", { cache: "intents" })),
    });
    const before = await counted();

    let talking = true;
    const talks: number[] = [];
    const dialogue = (async () => {
      while (talking) {
        const sent = performance.now();
        const response = await chat(router.url, { model: "silver", messages, max_tokens: 2 });
        await response.arrayBuffer();
        expect(response.status).toBe(200);
        talks.push(performance.now() - sent);
        await Bun.sleep(20);
      }
    })();

    let bad = 0;
    const jsonMs = await inBatches(async (from) => {
      for (const [at, { npc, intent, action, error }] of (await json(from, {})).entries()) {
        if (error !== undefined || npc !== from + at || intent !== scoutActions[action]) bad += 1;
      }
    });
    const frameMs = await inBatches(async (from) => {
      for (const [at, { npc, action, source }] of (await frames(from, 0)).entries()) {
        if (npc !== from + at || action >= scoutActions.length || source > 4) bad += 1;
      }
    });
    talking = false;
    await dialogue;

    expect(bad).toBe(0);
    for (const [busy, idle] of [
      [jsonMs, idleJson],
      [frameMs, idleFrames],
    ] as const) {
      for (const share of [0.5, 0.99]) {
        expect(calmest(busy, share)).toBeLessThan(deadlineMs + calmest(idle, share) + rule.marginMs);
      }
    }
    expect(talks.length).toBeGreaterThan(5);
    expect(percentile(talks, 0.5)).toBeLessThan(250);

    const after = await counted();
    expect(after.answered - before.answered).toBe(2 * rule.asks);
    expect(after.timed - before.timed).toBe(2 * rule.asks);
    await until("nothing is in flight", async () => (await router.metric("tierline_inflight")) === 0);
    expect((await router.metric("process_resident_memory_bytes")) - rssBefore).toBeLessThan(rule.rssMost);
    expect(performance.now() - began).toBeLessThan(rule.wallMs);
    const { hits, misses, joins } = JSON.parse(
      await (await fetch(`${router.adminUrl}/api/cache/stats`)).text(),
    ).intents;
    expect(hits + misses + joins).toBe(after.answered);
    expect(router.log.filter(({ level }) => level === "error" || level === "fatal")).toEqual([]);
  },
  30_000,
);
