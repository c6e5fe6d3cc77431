// A set of archetypes: disjoint keys, what clients are told, and which change of the configuration changes what.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { ArchetypeRule } from "../../src/intents/archetype.ts";
import {
  createArchetypes,
  describeArchetype,
  firstWithoutRoom,
  situationsMost,
  situationsOf,
} from "../../src/intents/archetype.ts";
import type { Feature } from "../../src/intents/feature.ts";
import { guard, only, oracle, someRule, statue } from "../support/archetypes.ts";

describe("a set of archetypes", () => {
  const set = createArchetypes([statue, guard, { ...guard, name: "captain", defaultAction: "flee" }]);

  test("numbers them in their order and gives each its situations, one after the other", () => {
    expect(set.all.map(({ id, name, offset, situations }) => [id, name, offset, situations])).toEqual([
      [0, "statue", 0, 1],
      [1, "guard", 1, 120],
      [2, "captain", 121, 120],
    ]);
  });

  test("finds them by name, and no other name, those of every object included", () => {
    expect(set.named("captain")).toBe(set.all[2]);
    for (const name of ["Guard", "", "constructor", "__proto__"]) expect(set.named(name)).toBeUndefined();
  });

  test("knows the default action's index", () => {
    expect(set.all.map(({ defaultIndex }) => defaultIndex)).toEqual([0, 0, 4]);
  });

  test("may be empty", () => {
    expect(createArchetypes([]).all).toEqual([]);
  });
});

test("clients are told the archetype as the documentation has it", () => {
  expect(describeArchetype(only(guard))).toEqual({
    id: 0,
    name: "guard",
    actions: ["patrol", "investigate", "attack", "take_cover", "flee", "call_help"],
    default: "patrol",
    ttl_ms: 1000,
    stale_ms: 10_000,
    features: [
      { name: "threat", kind: "buckets", radix: 4, buckets: [0.2, 0.5, 0.8] },
      { name: "player_distance", kind: "buckets", radix: 5, buckets: [2, 5, 10, 20], unit: "m" },
      { name: "alerted", kind: "bool", radix: 2 },
      { name: "weather", kind: "oneof", radix: 3, oneof: ["clear", "rain", "fog"] },
    ],
  });
});

const features = (change: (list: Feature[]) => Feature[]) => ({ features: change([...guard.features]) });
const other: Feature = { kind: "oneof", name: "weather", values: ["clear", "fog", "rain"] };
const yards: Feature = { kind: "buckets", name: "player_distance", edges: [2, 5, 10, 20], unit: "yd" };
const coarser: Feature = { kind: "buckets", name: "threat", edges: [0.2, 0.5], unit: undefined };

/** What an operator may change, and whether clients and entries notice. */
const changes: readonly (readonly [
  what: string,
  change: Partial<ArchetypeRule>,
  epoch: boolean,
  fingerprint: boolean,
])[] = [
  ["nothing", {}, false, false],
  ["the prompt", { prompt: "A tired guard." }, false, true],
  ["the temperature", { temperature: 0.5 }, false, true],
  ["the model", { model: "npc-fast" }, false, true],
  ["the pick", { pick: "sample" }, false, false],
  ["the name", { name: "warden" }, true, false],
  ["the actions", { actions: [...guard.actions, "hide"] }, true, true],
  ["the actions' order", { actions: guard.actions.toReversed() }, true, true],
  ["the default", { defaultAction: "flee" }, true, false],
  ["the ttl", { ttlMs: 999 }, true, false],
  ["the stale window", { staleMs: 9999 }, true, false],
  ["the features' order", features((list) => list.reverse()), true, true],
  ["a one-of's order", features((list) => list.with(3, other)), true, true],
  ["a unit", features((list) => list.with(1, yards)), true, true],
  ["the edges", features((list) => list.with(0, coarser)), true, true],
  ["a feature's name", features((list) => list.with(2, { kind: "bool", name: "alarmed" })), true, true],
];

describe("changing", () => {
  const before = createArchetypes([guard]);
  for (const [what, change, epoch, fingerprint] of changes) {
    const says = (changed: boolean) => (changed ? "changes" : "keeps");
    test(`${what} ${says(epoch)} the epoch and ${says(fingerprint)} the fingerprint`, () => {
      const after = createArchetypes([{ ...guard, ...change }]);
      expect(after.epoch !== before.epoch).toBe(epoch);
      expect(after.all[0]?.fingerprint !== before.all[0]?.fingerprint).toBe(fingerprint);
    });
  }

  test("the archetypes' order changes the epoch and keeps the fingerprints", () => {
    const [one, two] = [createArchetypes([guard, statue]), createArchetypes([statue, guard])];
    expect(one.epoch).not.toBe(two.epoch);
    expect(one.named("guard")?.fingerprint).toBe(two.named("guard")?.fingerprint ?? -1);
  });
});

describe("room for situations", () => {
  const bools = (count: number) => ({
    features: Array.from({ length: count }, (_, index): Feature => ({ kind: "bool", name: `${index}` })),
  });

  test("is the product of the radices, 1 where there are no features", () => {
    expect([guard, statue, oracle].map((rule) => situationsOf(rule.features))).toEqual([120, 1, 2 ** 53]);
  });

  test("ends at 2^53 for all together, exactly", () => {
    expect(firstWithoutRoom([])).toBeUndefined();
    expect(firstWithoutRoom([bools(53)])).toBeUndefined();
    expect(firstWithoutRoom([bools(54)])).toBe(0);
    expect(firstWithoutRoom([bools(52), bools(52)])).toBeUndefined();
    // 2^53 + 1 is 2^53 for a sum of doubles.
    expect(firstWithoutRoom([bools(53), bools(0)])).toBe(1);
    expect(firstWithoutRoom([bools(0), bools(2000), bools(0)])).toBe(1);
  });

  test("is given without a gap or an overlap, up to the last exact number", () => {
    fc.assert(
      fc.property(fc.array(someRule, { maxLength: 5 }), (rules) => {
        fc.pre(firstWithoutRoom(rules) === undefined);
        let next = 0;
        for (const { offset, situations } of createArchetypes(rules).all) {
          expect(offset).toBe(next);
          next += situations;
        }
        expect(next).toBeLessThanOrEqual(situationsMost);
      }),
    );
  });
});
