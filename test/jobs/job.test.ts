import { describe, expect, test } from "bun:test";
import type { JobState } from "../../src/jobs/job.ts";
import {
  isEnd,
  jobStates,
  jobStatuses,
  mayMove,
  sourcesOf,
  statesOf,
  statusOf,
  unfinishedStates,
} from "../../src/jobs/job.ts";

/** Columns in the order of `jobStates`: x is a legal move. */
const table: Readonly<Record<JobState, string>> = {
  //           acc subg subd done fail exp can poi
  accepted: "  .   x    .    x    x    x   x   x",
  submitting: "x   x    x    x    x    x   x   x",
  submitted: " x   x    .    x    x    x   x   x",
  done: "      .   .    .    .    .    .   .   .",
  failed: "    .   .    .    .    .    .   .   .",
  expired: "   .   .    .    .    .    .   .   .",
  cancelled: " .   .    .    .    .    .   .   .",
  poisoned: "  .   .    .    .    .    .   .   .",
};

describe("mayMove", () => {
  for (const from of jobStates) {
    const row = table[from].trim().split(/ +/);
    for (const [index, to] of jobStates.entries()) {
      const legal = row[index] === "x";
      test(`${legal ? "allows" : "refuses"} ${from} -> ${to}`, () => {
        expect(mayMove(from, to)).toBe(legal);
        expect(sourcesOf(to).includes(from)).toBe(legal);
      });
    }
  }
});

test("isEnd is true of exactly the five states that nothing leaves", () => {
  expect(jobStates.filter(isEnd)).toEqual(["done", "failed", "expired", "cancelled", "poisoned"]);
  expect(unfinishedStates).toEqual(["accepted", "submitting", "submitted"]);
});

test("statusOf gives callers the words of the API", () => {
  expect(jobStates.map(statusOf)).toEqual([
    "queued",
    "queued",
    "running",
    "succeeded",
    "failed",
    "expired",
    "cancelled",
    "failed",
  ]);
});

test("statesOf is statusOf read backwards: every state has one status", () => {
  expect(jobStatuses.flatMap(statesOf).sort()).toEqual([...jobStates].sort());
});
