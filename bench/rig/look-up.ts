// What one look-up in the intent table takes, as bench/intent-table.bench.ts has it: hits, in random order.

import { seededRandom } from "../../src/base/random.ts";
import type { ArchetypeRule } from "../../src/intents/archetype.ts";
import { createArchetypes } from "../../src/intents/archetype.ts";
import { createIntentTable } from "../../src/intents/intent-table.ts";

const entries = 100_000;
const asks = 500_000;
const passes = 5;
const now = 1_000;

/** Codes beyond 32 bits, as of an archetype with many features. */
export const guardOfForty: ArchetypeRule = {
  name: "guard",
  prompt: "A castle guard.",
  actions: ["patrol", "investigate", "attack", "take_cover", "flee", "call_help"],
  defaultAction: "patrol",
  pick: "sample",
  temperature: 0,
  model: undefined,
  ttlMs: 1_000,
  staleMs: 10_000,
  features: Array.from({ length: 40 }, (_, index) => ({ kind: "bool", name: `f${index}` })),
};

/** Nanoseconds each, in the quietest pass of a round: neighbours on the machine add time and never take any away. */
export function lookUpNs(rounds: number): number[] {
  const archetypes = createArchetypes([guardOfForty]);
  const [guard] = archetypes.all;
  if (guard === undefined) throw new Error("a set of one archetype has none");
  const table = createIntentTable(archetypes, { maxEntries: 1_000_000, maxBytes: 2 ** 30 }, () => now);
  const random = seededRandom(1);
  const known = Float64Array.from({ length: entries }, () => Math.floor(random() * guard.situations));
  for (const situation of known) table.put(guard, situation, [0.4, 0.3, 0.2, 0.1, 0, 0], now);
  const order = Uint32Array.from({ length: asks }, () => Math.floor(random() * entries));

  const once = (): number => {
    let found = 0;
    const beganMs = performance.now();
    for (const index of order) if (table.find(guard, known[index] ?? 0, now) >= 0) found += 1;
    const tookMs = performance.now() - beganMs;
    if (found !== asks) throw new Error("not everything was found that was put in");
    return (tookMs / asks) * 1e6;
  };
  // The first one warms up.
  once();
  return Array.from({ length: rounds }, () => Math.min(...Array.from({ length: passes }, once)));
}
