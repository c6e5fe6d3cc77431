// How many jobs there are, in the words that callers and operators read.

import { expect, test } from "bun:test";
import { jobFigures } from "../../src/jobs/job-figures.ts";

const none = {
  accepted: 0,
  submitting: 0,
  submitted: 0,
  done: 0,
  failed: 0,
  expired: 0,
  cancelled: 0,
  poisoned: 0,
};
const at = (wallMs: number) => ({ wallMs: () => wallMs });

test("states are counted under the status that callers read", () => {
  const counts = {
    accepted: 1,
    submitting: 2,
    submitted: 4,
    done: 8,
    failed: 16,
    expired: 32,
    cancelled: 64,
    poisoned: 128,
  };
  const store = { counts: () => counts, oldestAcceptedAtMs: () => 10_000 };
  expect(jobFigures(store, at(71_900))).toEqual({
    byStatus: { queued: 3, running: 4, succeeded: 8, failed: 144, expired: 32, cancelled: 64 },
    oldestSeconds: 61,
  });
});

test("the oldest has no age where there is none, or where the wall clock has stepped back", () => {
  expect(
    jobFigures({ counts: () => none, oldestAcceptedAtMs: () => undefined }, at(5000)).oldestSeconds,
  ).toBe(0);
  expect(jobFigures({ counts: () => none, oldestAcceptedAtMs: () => 9000 }, at(5000)).oldestSeconds).toBe(0);
});

test("of a store that could not be opened nothing is known", () => {
  const { byStatus, oldestSeconds } = jobFigures(undefined, at(5000));
  expect([...Object.values(byStatus), oldestSeconds]).toEqual([0, 0, 0, 0, 0, 0, 0]);
});
