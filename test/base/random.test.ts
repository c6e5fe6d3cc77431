// Dice that can be thrown again, and the waiting times that are made of them.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { backoffMs } from "../../src/base/backoff.ts";
import { seededRandom, systemRandom } from "../../src/base/random.ts";

describe("seededRandom", () => {
  test("throws the same again from the same seed, and something else from another", () => {
    const throws = (seed: number): number[] => {
      const random = seededRandom(seed);
      return Array.from({ length: 20 }, random);
    };
    expect(throws(7)).toEqual(throws(7));
    expect(throws(7)).not.toEqual(throws(8));
  });

  test("stays within [0, 1) and spreads evenly, from any seed", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        const random = seededRandom(seed);
        const tenths = new Array<number>(10).fill(0);
        for (let turn = 0; turn < 1000; turn += 1) {
          const value = random();
          expect(value >= 0 && value < 1).toBe(true);
          const tenth = Math.floor(value * 10);
          tenths[tenth] = (tenths[tenth] ?? 0) + 1;
        }
        // 100 each, and eight standard deviations of room.
        for (const count of tenths) expect(Math.abs(count - 100)).toBeLessThan(76);
      }),
      { numRuns: 50 },
    );
  });
});

test("systemRandom stays within [0, 1)", () => {
  for (let turn = 0; turn < 100; turn += 1) {
    const value = systemRandom();
    expect(value >= 0 && value < 1).toBe(true);
  }
});

describe("backoffMs", () => {
  const rule = { baseMs: 100, capMs: 1000, jitter: 0.2 };

  test("doubles from the base to the cap", () => {
    const plain = [0, 1, 2, 3, 4, 50, 10_000].map((times) => backoffMs(rule, times, () => 0.5));
    expect(plain).toEqual([100, 200, 400, 800, 1000, 1000, 1000]);
  });

  test("spreads by its jitter both ways, the cap included", () => {
    const spread = (times: number): number[] =>
      [0, 1].map((dice) => Math.round(backoffMs(rule, times, () => dice)));
    expect(spread(0)).toEqual([80, 120]);
    expect(spread(9)).toEqual([800, 1200]);
  });

  test("is exact without jitter", () => {
    expect(backoffMs({ ...rule, jitter: 0 }, 1, seededRandom(1))).toBe(200);
  });
});
