import { expect, spyOn, test } from "bun:test";
import { createDurations, durationsKept } from "../../src/jobs/durations.ts";

test("the median is that of the durations added last, and none counts as shorter than nothing", () => {
  const durations = createDurations();
  expect(durations.medianMs()).toBeUndefined();
  for (const ms of [5, 1, -7]) durations.add(ms);
  expect(durations.medianMs()).toBe(1);
  for (let many = 0; many < durationsKept; many += 1) durations.add(100 + many);
  expect(durations.medianMs()).toBe(100 + durationsKept / 2);
});

test("asking for the median sorts nothing, for it is asked with each request", () => {
  const durations = createDurations();
  for (const ms of [3, 1, 2]) durations.add(ms);
  const sorts = [spyOn(Array.prototype, "toSorted"), spyOn(Array.prototype, "sort")];
  const medianMs = durations.medianMs();
  const many = sorts.map(({ mock }) => mock.calls.length);
  for (const sort of sorts) sort.mockRestore();
  expect([medianMs, many]).toEqual([2, [0, 0]]);
});
