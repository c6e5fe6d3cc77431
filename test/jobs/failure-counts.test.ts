import { expect, test } from "bun:test";
import { createFailureCounts } from "../../src/jobs/failure-counts.ts";

test("failures are counted by job, and of too many jobs the one is forgotten that failed first", () => {
  const failures = createFailureCounts(2);
  expect(["a", "b", "a", "c", "a", "b"].map(failures.count)).toEqual([1, 1, 2, 1, 3, 1]);
});

test("what is forgotten begins anew", () => {
  const failures = createFailureCounts(2);
  failures.count("a");
  failures.forget("a");
  expect(failures.count("a")).toBe(1);
});
