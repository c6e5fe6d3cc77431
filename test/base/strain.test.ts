// The steps of a host's strain: where each begins, where it ends, and that a figure at a border does not flap.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { descriptorSteps, memorySteps, stepAt } from "../../src/base/strain.ts";

describe("the step of a share of memory", () => {
  test.each([
    // share, before, step
    [0, 0, 0],
    [0.849, 0, 0],
    [0.85, 0, 1],
    [0.919, 1, 1],
    [0.92, 1, 2],
    [0.949, 2, 2],
    [0.95, 0, 3],
    [1.2, 0, 3],
    [0.9, 3, 3],
    [0.899, 3, 2],
    [0.88, 2, 2],
    [0.879, 2, 1],
    [0.879, 3, 1],
    [0.75, 1, 1],
    [0.749, 1, 0],
    [0.749, 3, 0],
  ])("%p after step %p is %p", (share, before, step) =>
    expect(stepAt(memorySteps, share, before)).toBe(step),
  );
});

describe("the step of a share of descriptors", () => {
  test.each([
    [0.399, 0, 0],
    [0.4, 0, 1],
    [0.5, 1, 2],
    [0.45, 2, 2],
    [0.449, 2, 1],
    [0.75, 0, 3],
    [0.5, 3, 3],
    [0.499, 3, 2],
    [0.35, 1, 1],
    [0.349, 1, 0],
    // A step's own figures count, whatever came before.
    [0.6, 3, 3],
    [0.6, 1, 2],
  ])("%p after step %p is %p", (share, before, step) =>
    expect(stepAt(descriptorSteps, share, before)).toBe(step),
  );
});

test("a share that rises never lowers the step, and one that falls never raises it", () => {
  fc.assert(
    fc.property(
      fc.constantFrom(memorySteps, descriptorSteps),
      fc.double({ min: 0, max: 1.5, noNaN: true }),
      fc.double({ min: 0, max: 1.5, noNaN: true }),
      fc.nat(3),
      (steps, one, other, start) => {
        const before = stepAt(steps, one, start);
        const after = stepAt(steps, other, before);
        if (other >= one) expect(after).toBeGreaterThanOrEqual(before);
        else expect(after).toBeLessThanOrEqual(before);
        // The same figure again changes nothing.
        expect(stepAt(steps, other, after)).toBe(after);
      },
    ),
  );
});
