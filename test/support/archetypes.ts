// Archetypes for tests: the guard of the documentation, odd ones, and any that fast-check can think of.

import fc from "fast-check";
import type { Archetype, ArchetypeRule } from "../../src/intents/archetype.ts";
import { createArchetypes } from "../../src/intents/archetype.ts";
import type { Feature } from "../../src/intents/feature.ts";

/** As in the documentation: 120 situations. */
export const guard: ArchetypeRule = {
  name: "guard",
  prompt: "A castle guard. He is loyal, and no hero.",
  actions: ["patrol", "investigate", "attack", "take_cover", "flee", "call_help"],
  defaultAction: "patrol",
  pick: "best",
  temperature: 0,
  model: undefined,
  ttlMs: 1000,
  staleMs: 10_000,
  features: [
    { kind: "buckets", name: "threat", edges: [0.2, 0.5, 0.8], unit: undefined },
    { kind: "buckets", name: "player_distance", edges: [2, 5, 10, 20], unit: "m" },
    { kind: "bool", name: "alerted" },
    { kind: "oneof", name: "weather", values: ["clear", "rain", "fog"] },
  ],
};

/** It sees nothing and can do one thing: a single situation. */
export const statue: ArchetypeRule = {
  ...guard,
  name: "statue",
  prompt: "A statue.",
  actions: ["stand"],
  defaultAction: "stand",
  features: [],
};

/** Every situation that there may be, 2^53: its last code is the largest exact number. */
export const oracle: ArchetypeRule = {
  ...guard,
  name: "oracle",
  prompt: "It sees fifty-three things.",
  features: Array.from({ length: 53 }, (_, index) => ({ kind: "bool", name: `sign_${index}` })),
};

/** The archetype of a set that has no other. */
export const only = (rule: ArchetypeRule): Archetype => {
  const [archetype] = createArchetypes([rule]).all;
  if (archetype === undefined) throw new Error("a set of one archetype has none");
  return archetype;
};

const someFeature = (name: string): fc.Arbitrary<Feature> =>
  fc.oneof(
    fc
      .uniqueArray(fc.double({ noNaN: true, noDefaultInfinity: true }), {
        maxLength: 9,
        comparator: "SameValueZero",
      })
      .map((edges) => edges.sort((a, b) => a - b))
      .chain((edges) =>
        fc.constantFrom("m", undefined).map((unit): Feature => ({ kind: "buckets", name, edges, unit })),
      ),
    fc.constant<Feature>({ kind: "bool", name }),
    fc
      .uniqueArray(fc.string(), { minLength: 1, maxLength: 9 })
      .map((values): Feature => ({ kind: "oneof", name, values })),
  );

/** Up to twelve features of ten buckets at most: some 10^12 situations, far beyond 32 bits. */
export const someRule: fc.Arbitrary<ArchetypeRule> = fc
  .uniqueArray(fc.oneof(fc.string(), fc.constantFrom("__proto__", "constructor", "toString")), {
    maxLength: 12,
  })
  .chain((names) => fc.tuple(...names.map(someFeature)))
  .map((features) => ({ ...guard, features }));
