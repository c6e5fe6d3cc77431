// Quantiles of the first byte, and how they age; and the ramp of the slow start.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createLatency } from "../../src/fleet/latency.ts";
import { slowStartWeight } from "../../src/fleet/slow-start.ts";

const start = 1_000_000;

function after(values: readonly number[], stream = true) {
  const latency = createLatency();
  for (const ms of values) latency.add(stream, ms, 10 * ms, start);
  return latency;
}

describe("latency", () => {
  test("says nothing before the fifth answer", () => {
    expect(after([9, 9, 9, 9]).firstByteMs(true, 0.5)).toBeUndefined();
    expect(after([9, 9, 9, 9, 9]).firstByteMs(true, 0.5)).toBeDefined();
  });

  test("keeps streams and whole answers apart", () => {
    const latency = after([10, 10, 10, 10, 10]);
    expect(latency.firstByteMs(false, 0.5)).toBeUndefined();
    for (let answer = 0; answer < 5; answer += 1) latency.add(false, 5000, 5000, start);
    expect(latency.firstByteMs(true, 0.99)).toBeLessThan(13);
    expect(latency.firstByteMs(false, 0.5)).toBeGreaterThan(4999);
  });

  test("answers a quantile that is never too low and at most a fifth too high, from 1 ms to 10 min", () => {
    const sample = fc.array(fc.double({ min: 1, max: 590_000, noNaN: true }), {
      minLength: 5,
      maxLength: 200,
    });
    fc.assert(
      fc.property(sample, fc.constantFrom(0.5, 0.9, 0.99), (values, q) => {
        const exact = values.toSorted((a, b) => a - b)[Math.ceil(q * values.length) - 1] ?? Number.NaN;
        const told = after(values).firstByteMs(true, q) ?? Number.NaN;
        expect(told).toBeGreaterThanOrEqual(exact * (1 - 1e-9));
        expect(told).toBeLessThanOrEqual(exact * 1.2 * (1 + 1e-9));
      }),
    );
  });

  test("the median for now is that of the streams, as long as they are less than 10 s ago", () => {
    const latency = after([10, 10, 10, 10, 10]);
    const median = latency.firstByteMs(true, 0.5);
    expect(latency.recentFirstByteMs(start + 9_999)).toBe(median);
    expect(after([10, 10, 10, 10, 10]).recentFirstByteMs(start + 10_000)).toBeUndefined();
    latency.add(false, 5000, 5000, start + 20_000);
    expect(latency.recentFirstByteMs(start + 20_000)).toBeUndefined();
  });

  test("the median for now moves with what is added after it was asked", () => {
    const latency = after([10, 10, 10, 10, 10]);
    expect(latency.recentFirstByteMs(start)).toBeLessThan(13);
    for (let answer = 0; answer < 20; answer += 1) latency.add(true, 500, 500, start + 1);
    expect(latency.recentFirstByteMs(start + 1)).toBeGreaterThan(499);
  });

  test("old answers lose weight: a minute later twice as many new ones decide", () => {
    const latency = after(Array.from({ length: 100 }, () => 10));
    for (let answer = 0; answer < 60; answer += 1) latency.add(true, 500, 500, start + 60_000);
    expect(latency.firstByteMs(true, 0.5)).toBeGreaterThan(499);
  });

  test("after an hour without a stream the old ones hardly count", () => {
    const latency = after(Array.from({ length: 10_000 }, () => 10));
    for (let answer = 0; answer < 6; answer += 1) latency.add(true, 500, 500, start + 3_600_000);
    expect(latency.firstByteMs(true, 0.5)).toBeGreaterThan(499);
  });

  test("the time a slot is held is smoothed, and unknown at first", () => {
    expect(createLatency().holdMs()).toBeUndefined();
    const latency = after([10]);
    expect(latency.holdMs()).toBe(100);
    latency.add(true, 10, 200, start);
    expect(latency.holdMs()).toBeCloseTo(110);
  });
});

test("slow start ramps from a tenth to all in 30 s, and is for those who were away", () => {
  expect(slowStartWeight(undefined, start)).toBe(1);
  const weights = [0, 3000, 15_000, 30_000, 90_000].map((ms) => slowStartWeight(start, start + ms));
  expect(weights).toEqual([0.1, 0.1, 0.5, 1, 1]);
});
