// Buckets, quantiles and ageing.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createHistogram, decay, observe, quantile } from "../../src/base/histogram.ts";

const bounds = [1, 2, 5, 10];

describe("a histogram", () => {
  test("counts a value in the first bucket whose upper bound is not below it", () => {
    const histogram = createHistogram(bounds);
    for (const value of [0, 1, 1.0001, 2, 10, 10.1, Number.POSITIVE_INFINITY]) observe(histogram, value);
    expect([...histogram.counts]).toEqual([2, 2, 0, 1, 2]);
    expect(histogram.count).toBe(7);
  });

  test("counts as a search through the bounds would, for any bounds and values", () => {
    const someBounds = fc
      .uniqueArray(fc.double({ min: 0, max: 1000, noNaN: true }), { minLength: 1, maxLength: 30 })
      .map((list) => list.sort((a, b) => a - b));
    fc.assert(
      fc.property(someBounds, fc.array(fc.double({ min: 0, max: 2000, noNaN: true })), (ends, values) => {
        const histogram = createHistogram(ends);
        for (const value of values) observe(histogram, value);
        const expected = ends.map(() => 0).concat(0);
        for (const value of values) {
          const found = ends.findIndex((end) => value <= end);
          const index = found < 0 ? ends.length : found;
          expected[index] = (expected[index] ?? 0) + 1;
        }
        expect([...histogram.counts]).toEqual(expected);
        expect(histogram.sum).toBeCloseTo(
          values.reduce((sum, value) => sum + value, 0),
          5,
        );
      }),
    );
  });

  test("has no quantile when it is empty, and the last bound for what lies above it", () => {
    const histogram = createHistogram(bounds);
    expect(quantile(histogram, 0.5)).toBeUndefined();
    observe(histogram, 99);
    expect(quantile(histogram, 0.5)).toBe(10);
  });

  test("answers the upper bound of the bucket with the wanted rank", () => {
    const histogram = createHistogram(bounds);
    for (let value = 0; value < 99; value += 1) observe(histogram, 1);
    observe(histogram, 9);
    expect([0.5, 0.99, 0.995].map((q) => quantile(histogram, q))).toEqual([1, 1, 10]);
  });

  test("decays in all its parts, so that its mean and its shape stay", () => {
    const histogram = createHistogram(bounds);
    for (const value of [1, 2, 9]) observe(histogram, value);
    decay(histogram, 0.5);
    expect([...histogram.counts]).toEqual([0.5, 0.5, 0, 0.5, 0]);
    expect([histogram.sum, histogram.count]).toEqual([6, 1.5]);
  });
});
