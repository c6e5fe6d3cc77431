// When good news passes, as a table of returns.

import { describe, expect, test } from "bun:test";
import { createDamping } from "../../src/cluster/damping.ts";

const at = (seconds: number): number => 1_000_000 + seconds * 1000;

describe("a return", () => {
  for (const [before, asked, passes] of [
    [[], 0, true],
    [[0], 1, true],
    [[0, 1], 2, false],
    [[0, 1], 59, false],
    [[0, 1], 60, true],
    [[0, 30], 61, true],
    [[0, 30, 61], 62, false],
  ] as const) {
    test(`at ${asked} s ${passes ? "passes" : "waits"} after returns at ${before.join(", ") || "no time"}`, () => {
      const damping = createDamping();
      for (const each of before) expect(damping.admits(at(each))).toBe(true);
      expect(damping.admits(at(asked))).toBe(passes);
    });
  }

  test("that had to wait passes a minute later, and not before, whatever is asked meanwhile", () => {
    const damping = createDamping();
    for (const each of [0, 1]) damping.admits(at(each));
    expect(damping.admits(at(3))).toBe(false);
    expect(damping.heldUntil).toBe(at(63));
    expect(damping.admits(at(62.9))).toBe(false);
    expect(damping.admits(at(63))).toBe(true);
    expect(damping.heldUntil).toBeUndefined();
  });
});
