// Where a run begins to count.

import { describe, expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import { bootId, firstIncarnation } from "../../src/cluster/incarnation.ts";

describe("the first incarnation", () => {
  for (const [wallMs, persisted, expected, why] of [
    [1000.7, undefined, 1000, "the wall clock, where the disk is lost"],
    [1000, 500, 1000, "the wall clock, where it went on"],
    [1000, 2000, 2001, "above the disk, where the clock stepped back"],
    [0, undefined, 1, "one, where both are gone: peers will tell"],
  ] as const) {
    test(`is ${expected}: ${why}`, () => {
      expect(firstIncarnation(wallMs, persisted)).toBe(expected);
    });
  }
});

test("boot ids of later runs are greater as text, and two runs of one millisecond differ", () => {
  const random = seededRandom(1);
  const instants = [0, 1, 35, 36, 1_767_225_600_000, 1_767_225_600_001, 2 ** 51];
  const ids = instants.map((instant) => bootId(instant, random));
  expect([...ids].sort()).toEqual(ids);
  expect(bootId(5, random)).not.toBe(bootId(5, random));
});
