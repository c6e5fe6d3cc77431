// The suspicion time as a table: members, confirmations, milliseconds.

import { describe, expect, test } from "bun:test";
import { suspicionLeastMs, suspicionMs } from "../../src/cluster/suspicion.ts";

describe("the least suspicion", () => {
  for (const [members, ms] of [
    [1, 4000],
    [2, 4000],
    [21, 4000],
    [50, 5097],
    [100, 6000],
    [500, 8097],
  ] as const) {
    test(`among ${members} is ${ms} ms`, () => {
      expect(Math.round(suspicionLeastMs(members))).toBe(ms);
    });
  }
});

describe("a suspicion", () => {
  for (const [members, confirmations, ms] of [
    [2, 0, 4000],
    [3, 0, 4000],
    [4, 0, 16_000],
    [10, 0, 16_000],
    [10, 1, 8429],
    [10, 2, 4000],
    [10, 3, 4000],
    [100, 0, 24_000],
    [100, 1, 12_643],
    [100, 2, 6000],
  ] as const) {
    test(`among ${members} with ${confirmations} confirmations lasts ${ms} ms`, () => {
      expect(Math.round(suspicionMs(members, confirmations))).toBe(ms);
    });
  }
});
