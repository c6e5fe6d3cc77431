// The situation code, packed and unpacked.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { radixOf } from "../../src/intents/feature.ts";
import { packSituation, unpackSituation } from "../../src/intents/situation.ts";
import { guard, only, oracle, someRule, statue } from "../support/archetypes.ts";

describe("the situation code", () => {
  test("of the documentation's example is 106", () => {
    expect(packSituation([2, 1, 1, 2], only(guard))).toBe(106);
    expect(unpackSituation(106, only(guard))).toEqual([2, 1, 1, 2]);
  });

  test("counts the first feature fastest, from 0 to the number of situations less 1", () => {
    const archetype = only(guard);
    const codes = Array.from({ length: archetype.situations }, (_, code) => code);
    expect(codes.map((code) => packSituation(unpackSituation(code, archetype), archetype))).toEqual(codes);
    expect(new Set(codes.map((code) => unpackSituation(code, archetype).join())).size).toBe(120);
    expect(unpackSituation(1, archetype)).toEqual([1, 0, 0, 0]);
    expect(unpackSituation(119, archetype)).toEqual([3, 4, 1, 2]);
  });

  test("of an archetype without features is 0", () => {
    expect(packSituation([], only(statue))).toBe(0);
    expect(unpackSituation(0, only(statue))).toEqual([]);
  });

  test("is exact up to the largest exact number, bit for bit", () => {
    const archetype = only(oracle);
    const last = Number.MAX_SAFE_INTEGER;
    expect(packSituation(Array(53).fill(1), archetype)).toBe(last);
    for (const code of [last, last - 1, 2 ** 52, 2 ** 32, 2 ** 32 - 1, 2 ** 31]) {
      const bits = [...code.toString(2).padStart(53, "0")].reverse().map(Number);
      expect(unpackSituation(code, archetype)).toEqual(bits);
      expect(packSituation(bits, archetype)).toBe(code);
    }
  });

  test("is b1 + r1·(b2 + r2·(b3 + …)) for any features and buckets, and comes apart again", () => {
    const cases = someRule.chain((rule) => {
      const buckets = rule.features.map((feature) => fc.nat(radixOf(feature) - 1));
      return fc.tuple(fc.constant(rule), fc.tuple(...buckets));
    });
    fc.assert(
      fc.property(cases, ([rule, buckets]) => {
        const archetype = only(rule);
        let expected = 0n;
        for (const [index, feature] of [...rule.features.entries()].reverse()) {
          expected = BigInt(buckets[index] ?? 0) + BigInt(radixOf(feature)) * expected;
        }
        const code = packSituation(buckets, archetype);
        expect(BigInt(code)).toBe(expected);
        expect(unpackSituation(code, archetype)).toEqual([...buckets]);
      }),
    );
  });

  test("below the number of situations has buckets, and they have that code", () => {
    fc.assert(
      fc.property(someRule, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (rule, part) => {
        const archetype = only(rule);
        const code = Math.floor(part * archetype.situations);
        const buckets = unpackSituation(code, archetype);
        for (const [index, feature] of rule.features.entries()) {
          expect(buckets[index]).toBeLessThan(radixOf(feature));
        }
        expect(packSituation(buckets, archetype)).toBe(code);
      }),
    );
  });
});
