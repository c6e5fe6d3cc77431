// The table of faults is whole: each row has a test that bears its number, and a figure on the page of the last run.

import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { faults } from "./faults.ts";
import type { LastRun } from "./reliability-page.ts";
import { lastRunFile, reliabilityFile, reliabilityPage } from "./reliability-page.ts";
import { filesOf } from "./scenario-files.ts";

const last: LastRun = JSON.parse(readFileSync(lastRunFile, "utf8"));

test("the faults are numbered from 1 to 50", () => {
  expect(faults.map(({ number }) => number)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
});

test.each(faults.map(({ number, fault }) => [number, fault] as const))(
  "fault %i, %s, has a test with its number in the title, and held in the last full run with a figure",
  (number) => {
    expect(filesOf(number)).not.toEqual([]);
    const run = last.runs.find((each) => each.number === number);
    expect(run?.held).toBe(true);
    expect(run?.figures).not.toEqual([]);
  },
);

test("docs/reliability.md is what `bun run fault all` writes", () => {
  expect(readFileSync(reliabilityFile, "utf8")).toBe(reliabilityPage(last));
});
