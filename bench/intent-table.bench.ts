// One look-up in the intent table at 100,000 entries: at most 350 ns, or a batch of 64 would show in a frame. The quietest
// round counts: neighbours on the machine add time and never take any away. Beside it, in the same run, mnemonist's LRU
// alone with the same keys; each contestant in processes of its own, taking turns, because one that has 32-bit links
// makes the code slower for one with 16. Then the longest that a million puts block, restore, what an entry costs in
// memory, and what changes of limits cost at a million. Exits 1 above a budget.
//
//   bun bench/intent-table.bench.ts [rounds] [look-ups a round]

import { LRUMapWithDelete } from "mnemonist";
import { seededRandom } from "../src/base/random.ts";
import type { Archetype, Archetypes } from "../src/intents/archetype.ts";
import { createArchetypes } from "../src/intents/archetype.ts";
import { newAnswer } from "../src/intents/intent-answer.ts";
import type { IntentTable } from "../src/intents/intent-table.ts";
import { createIntentTable } from "../src/intents/intent-table.ts";
import { encodeTable, restoreTable } from "../src/intents/table-snapshot.ts";
import { guardOfForty } from "./rig/look-up.ts";

const findBudgetNs = 350;
/** Half of the 14 ms that an answer has. */
const putBudgetMs = 7;
const restoreBudgetMs = 500;
const turns = 3;
const rounds = Number(process.argv[2] ?? 5);
const asks = Number(process.argv[3] ?? 1_000_000);
/** What a process of its own is to do: the name of a contestant, or `million`. */
const part = process.argv[4];

const million = 1_000_000;
const limits = { maxEntries: million, maxBytes: 2 ** 30 };
const archetypes = createArchetypes([guardOfForty]);
const guard = first(archetypes);
const odds = [0.4, 0.3, 0.2, 0.1, 0, 0];
const now = 1000;

const random = seededRandom(1);
const situations = (count: number) =>
  Float64Array.from({ length: count }, () => Math.floor(random() * guard.situations));

function first({ all: [archetype] }: Archetypes): Archetype {
  if (archetype === undefined) throw new Error("the benchmark has no archetype");
  return archetype;
}

function filled(known: Float64Array) {
  const table = createIntentTable(archetypes, limits, () => now);
  for (const situation of known) table.put(guard, situation, odds, now);
  return table;
}

const median = (values: readonly number[]) =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

function msOf(work: () => void): number {
  const began = performance.now();
  work();
  return performance.now() - began;
}

function verdict(name: string, value: number, budget: number, unit: string) {
  console.log(
    `${name}: ${value.toFixed(1)} ${unit}, ${value <= budget ? "within" : "ABOVE"} the budget of ${budget} ${unit}`,
  );
  if (!(value <= budget)) process.exitCode = 1;
}

/** Each makes what it asks, and answers whether it was there. */
const contestants: Record<string, (known: Float64Array) => (situation: number, npc: number) => boolean> = {
  "mnemonist alone": (known) => {
    const bare = new LRUMapWithDelete<number, number>(Float64Array, Uint32Array, million);
    for (const [slot, situation] of known.entries()) bare.set(situation, slot);
    return (situation) => bare.get(situation) !== undefined;
  },
  find: (known) => {
    const table = filled(known);
    return (situation) => table.find(guard, situation, now) >= 0;
  },
  "find and read": (known) => {
    const table = filled(known);
    const answer = newAnswer();
    return (situation, npc) => {
      const slot = table.find(guard, situation, now);
      table.read(slot, guard, npc, now, answer);
      return slot >= 0;
    };
  },
  "put, known": (known) => {
    const table = filled(known);
    return (situation) => table.put(guard, situation, odds, now) >= 0;
  },
};

/** Nanoseconds each, of `asks` random look-ups that are all hits, once a round. */
function lookUps(contestant: string): number[] {
  const known = situations(100_000);
  const ask = contestants[contestant]?.(known);
  const order = Uint32Array.from({ length: asks }, () => Math.floor(random() * known.length));
  const round = (): number => {
    let found = 0;
    const ms = msOf(() => {
      for (let turn = 0; turn < asks; turn += 1) {
        if (ask?.(known[order[turn] ?? 0] ?? 0, turn) === true) found += 1;
      }
    });
    if (found !== asks) throw new Error("a look-up of the benchmark was not what it measures");
    return (ms / asks) * 1e6;
  };
  // The first one warms up.
  round();
  return Array.from({ length: rounds }, round);
}

function inOwnProcess(task: string): string {
  const child = Bun.spawnSync([process.execPath, import.meta.path, String(rounds), String(asks), task], {
    stderr: "inherit",
  });
  if (child.exitCode !== 0) throw new Error(`the process for ${task} failed`);
  return child.stdout.toString();
}

/** The quietest round of `find`. */
function compareLookUps(): number {
  const names = Object.keys(contestants);
  const ns = new Map<string, number[]>(names.map((name) => [name, []]));
  for (let turn = 0; turn < turns; turn += 1) {
    for (const name of names) ns.get(name)?.push(...inOwnProcess(name).trim().split(" ").map(Number));
  }
  const alone = ns.get("mnemonist alone") ?? [];
  for (const [name, values] of ns) {
    const [least, middle] = [Math.min(...values), median(values)];
    console.log(
      `${name.padEnd(15)} quietest ${least.toFixed(0)} ns, ${(least / Math.min(...alone)).toFixed(2)} of mnemonist alone; median ${middle.toFixed(0)}, ${(middle / median(alone)).toFixed(2)}`,
    );
  }
  return Math.min(...(ns.get("find") ?? []));
}

function restore() {
  const saved = filled(situations(100_000));
  const bytes = encodeTable(saved, 2 ** 30, now);
  let longest = 0;
  const total = Array.from({ length: rounds }, () => {
    const table = createIntentTable(archetypes, limits, () => now);
    const restoring = restoreTable(table, bytes, 0, () => now);
    if (typeof restoring === "string") throw new Error(restoring);
    let ms = 0;
    for (let more = true; more; ) {
      const step = msOf(() => {
        more = restoring.step(1000);
      });
      ms += step;
      longest = Math.max(longest, step);
    }
    if (restoring.restored !== saved.stats().entries) throw new Error("not all came back");
    return ms;
  });
  const mb = (bytes.length / 2 ** 20).toFixed(1);
  console.log(`100,000 entries are ${mb} MiB saved; longest step of 1,000: ${longest.toFixed(1)} ms`);
  return median(total);
}

/** The longest single put of a million new situations, into a table that has room or is full. */
function longestPut(table: IntentTable): number {
  let longest = 0;
  for (const situation of situations(million)) {
    longest = Math.max(
      longest,
      msOf(() => table.put(guard, situation, odds, now)),
    );
  }
  return longest;
}

/** The quietest of several, for whoever was put off the processor was not blocked by the table. */
function stalls(): number {
  const filling: number[] = [];
  const evicting: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const table = createIntentTable(archetypes, limits, () => now);
    filling.push(longestPut(table));
    evicting.push(longestPut(table));
  }
  for (const [what, values] of [
    ["fills", filling],
    ["evicts", evicting],
  ] as const) {
    console.log(
      `the longest of a million puts while the table ${what}: ${Math.min(...values).toFixed(1)} ms in the quietest round, median ${median(values).toFixed(1)}`,
    );
  }
  return Math.max(Math.min(...filling), Math.min(...evicting));
}

/** In a process of its own, because memory once taken does not come back. */
function atAMillion() {
  const residentMb = () => {
    Bun.gc(true);
    return process.memoryUsage.rss() / 2 ** 20;
  };
  const before = residentMb();
  const table = createIntentTable(archetypes, limits, () => now);
  const empty = residentMb();
  const put = () => {
    for (const situation of situations(million)) table.put(guard, situation, odds, now);
  };
  put();
  const { entries, bytes } = table.stats();
  const each = ((residentMb() - empty) * 2 ** 20) / entries;
  const ms = (work: () => void) => `${msOf(work).toFixed(2)} ms`;
  console.log(`an empty table for a million: ${(empty - before).toFixed(1)} MiB resident`);
  console.log(`an entry: ${each.toFixed(0)} B resident, ${bytes / entries} B by our count`);
  console.log(`a put that evicts: ${((msOf(put) / million) * 1e6).toFixed(0)} ns`);
  console.log(`the first page of 100: ${ms(() => table.entries({ limit: 100 }))}`);
  const last = table.entries({ limit: million - 100 }).next;
  console.log(`the last page of 100: ${ms(() => table.entries({ limit: 100, after: last }))}`);
  console.log(`encode a million: ${ms(() => encodeTable(table, 2 ** 30, now))}`);
  console.log(
    `adopt the same archetypes: ${ms(() => table.adopt(createArchetypes(archetypes.all), limits))}`,
  );
  console.log(`limits from 1,000,000 to 900,000: ${ms(() => table.configure({ maxEntries: 900_000 }))}`);
  console.log(`and back: ${ms(() => table.configure({ maxEntries: million }))}`);
  console.log(`to 2,000,000, twice the shards: ${ms(() => table.configure({ maxEntries: 2 * million }))}`);
  console.log(`to 100,000, an eighth of them: ${ms(() => table.configure({ maxEntries: 100_000 }))}`);
}

if (part === "million") {
  atAMillion();
} else if (part !== undefined) {
  console.log(lookUps(part).join(" "));
} else {
  const findNs = compareLookUps();
  const putMs = stalls();
  const restoreMs = restore();
  console.log(inOwnProcess("million").trim());
  verdict("find", findNs, findBudgetNs, "ns");
  verdict("the longest put", putMs, putBudgetMs, "ms");
  verdict("restore of 100,000", restoreMs, restoreBudgetMs, "ms");
}
