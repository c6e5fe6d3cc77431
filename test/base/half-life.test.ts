import { expect, test } from "bun:test";
import { createHalfLife } from "../../src/base/half-life.ts";

test("a half-life takes half for each whole one that has passed since it was asked last, and nothing before", () => {
  const factor = createHalfLife(1000);
  expect([5000, 5999, 6000, 6999, 9000, 9000].map(factor)).toEqual([1, 1, 0.5, 1, 0.125, 1]);
});

test("a half-life takes nothing where time goes back", () => {
  const factor = createHalfLife(1000);
  expect([5000, 3000, 6000].map(factor)).toEqual([1, 1, 0.5]);
});
