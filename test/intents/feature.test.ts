// The kinds of features: from values to buckets and from buckets to words.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Feature } from "../../src/intents/feature.ts";
import { bucketName, bucketOf, complaint, describeFeature, radixOf } from "../../src/intents/feature.ts";
import { someRule } from "../support/archetypes.ts";

const threat: Feature = { kind: "buckets", name: "threat", edges: [0.2, 0.5, 0.8], unit: undefined };
const distance: Feature = { kind: "buckets", name: "player_distance", edges: [2, 5, 10, 20], unit: "m" };
const zero: Feature = { kind: "buckets", name: "balance", edges: [0], unit: undefined };
const edgeless: Feature = { kind: "buckets", name: "noise", edges: [], unit: "dB" };
const alerted: Feature = { kind: "bool", name: "alerted" };
const weather: Feature = { kind: "oneof", name: "weather", values: ["clear", "rain", "fog"] };

const quantised: readonly (readonly [Feature, value: unknown, bucket: number, called: string])[] = [
  [threat, -1e308, 0, "threat: below 0.2"],
  [threat, 0.19999999999999998, 0, "threat: below 0.2"],
  [threat, 0.2, 1, "threat: 0.2 to 0.5"],
  [threat, 0.7, 2, "threat: 0.5 to 0.8"],
  [threat, 0.8, 3, "threat: 0.8 or more"],
  [threat, 1e308, 3, "threat: 0.8 or more"],
  [distance, 0, 0, "player_distance: below 2 m"],
  [distance, 4, 1, "player_distance: 2 to 5 m"],
  [distance, 20, 4, "player_distance: 20 m or more"],
  [zero, -0, 1, "balance: 0 or more"],
  [edgeless, 3, 0, "noise: any"],
  [alerted, false, 0, "alerted: no"],
  [alerted, true, 1, "alerted: yes"],
  [weather, "clear", 0, "weather: clear"],
  [weather, "fog", 2, "weather: fog"],
];

describe("a value", () => {
  for (const [feature, value, bucket, called] of quantised) {
    test(`${feature.name} ${String(value)} is in bucket ${bucket}, "${called}"`, () => {
      expect(bucketOf(feature, value)).toBe(bucket);
      expect(bucketName(feature, bucket)).toBe(called);
    });
  }
});

const refused: readonly (readonly [Feature, value: unknown, why: string])[] = [
  [threat, "0.7", 'threat must be a number, not "0.7"'],
  [threat, null, "threat must be a number, not null"],
  [threat, true, "threat must be a number, not true"],
  [threat, [0.7], "threat must be a number, not a list"],
  [threat, { value: 0.7 }, "threat must be a number, not an object"],
  [threat, Number.NaN, "threat must be a number, not NaN"],
  [threat, Number.POSITIVE_INFINITY, "threat must be a number, not Infinity"],
  [alerted, 1, "alerted must be true or false, not 1"],
  [alerted, "true", 'alerted must be true or false, not "true"'],
  [weather, "snow", 'weather must be one of clear, rain, fog, not "snow"'],
  [weather, 0, "weather must be one of clear, rain, fog, not 0"],
  [weather, "__proto__", 'weather must be one of clear, rain, fog, not "__proto__"'],
];

describe("a value that the feature cannot have is refused, with the reason", () => {
  for (const [feature, value, why] of refused) {
    test(why, () => {
      expect(bucketOf(feature, value)).toBeUndefined();
      expect(complaint(feature, value)).toBe(why);
    });
  }

  test("which stays short, whatever the caller sent and however many values there are", () => {
    const many: Feature = {
      kind: "oneof",
      name: "mood",
      values: Array.from({ length: 500 }, (_, index) => `mood ${index}`),
    };
    const why = complaint(many, '"'.repeat(1_000_000));
    expect(why).toContain("mood 7 and 492 more, not");
    expect(why.length).toBeLessThan(250);
  });
});

test("a number's bucket is the count of edges at or below it, for any edges and values", () => {
  const number = fc.double({ noNaN: true, noDefaultInfinity: true });
  fc.assert(
    fc.property(fc.uniqueArray(number), number, fc.nat(), (some, value, pick) => {
      const edges = some.sort((a, b) => a - b);
      const feature: Feature = { kind: "buckets", name: "any", edges, unit: undefined };
      for (const each of [value, edges[pick % edges.length] ?? value]) {
        expect(bucketOf(feature, each)).toBe(edges.filter((edge) => edge <= each).length);
      }
    }),
  );
});

test("every bucket of any feature has a name of its own", () => {
  fc.assert(
    fc.property(someRule, ({ features }) => {
      for (const feature of features) {
        const names = Array.from({ length: radixOf(feature) }, (_, bucket) => bucketName(feature, bucket));
        expect(new Set(names).size).toBe(names.length);
      }
    }),
  );
});

test("clients are told the kind, the radix and what the kind needs", () => {
  expect([threat, distance, alerted, weather].map((feature) => describeFeature(feature))).toEqual([
    { name: "threat", kind: "buckets", radix: 4, buckets: [0.2, 0.5, 0.8] },
    { name: "player_distance", kind: "buckets", radix: 5, buckets: [2, 5, 10, 20], unit: "m" },
    { name: "alerted", kind: "bool", radix: 2 },
    { name: "weather", kind: "oneof", radix: 3, oneof: ["clear", "rain", "fog"] },
  ]);
});
