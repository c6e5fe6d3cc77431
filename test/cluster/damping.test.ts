// When good news passes, as a table of changes.

import { describe, expect, test } from "bun:test";
import { createDamping } from "../../src/cluster/damping.ts";

const at = (seconds: number): number => 1_000_000 + seconds * 1000;

describe("good news", () => {
  for (const [changes, asked, passes] of [
    [[], 0, true],
    [[0], 1, true],
    [[0, 1], 2, true],
    [[0, 1, 2], 3, false],
    [[0, 1, 2], 59, false],
    [[0, 1, 2], 60, true],
    [[0, 30, 59, 61], 62, false],
  ] as const) {
    test(`at ${asked} s ${passes ? "passes" : "waits"} after changes at ${changes.join(", ") || "no time"}`, () => {
      const damping = createDamping();
      for (const change of changes) damping.changed(at(change));
      expect(damping.admits(at(asked))).toBe(passes);
    });
  }

  test("that had to wait passes a minute later, and not before, whatever is asked meanwhile", () => {
    const damping = createDamping();
    for (const change of [0, 1, 2]) damping.changed(at(change));
    expect(damping.admits(at(3))).toBe(false);
    expect(damping.heldUntil).toBe(at(63));
    expect(damping.admits(at(62.9))).toBe(false);
    expect(damping.admits(at(63))).toBe(true);
    expect(damping.heldUntil).toBeUndefined();
  });
});
