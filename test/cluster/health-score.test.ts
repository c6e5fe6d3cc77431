// The score as a table of what happened.

import { describe, expect, test } from "bun:test";
import type { HealthScore } from "../../src/cluster/health-score.ts";
import { createHealthScore } from "../../src/cluster/health-score.ts";

const times = (count: number, what: (score: HealthScore) => void) => (score: HealthScore) => {
  for (let turn = 0; turn < count; turn += 1) what(score);
};
const answered = (score: HealthScore) => score.probeAnswered();
const failed = (silent: number) => (score: HealthScore) => score.probeFailed(silent);

const rows: readonly (readonly [string, readonly ((score: HealthScore) => void)[], number])[] = [
  ["nothing happened", [], 0],
  ["a probe was answered: never below 0", [answered], 0],
  ["a probe failed and every helper said so: the fault is there", [failed(0)], 0],
  ["a probe failed and two helpers were silent", [failed(2)], 2],
  ["an answered probe takes one away", [failed(2), answered], 1],
  ["it was accused", [(score) => score.accused()], 1],
  ["its timers came late", [(score) => score.late()], 1],
  ["never above 7", [times(9, (score) => score.late())], 7],
  ["five of the last ten failed", [times(5, answered), times(5, failed(0))], 0],
  ["six of the last ten failed", [times(4, answered), times(6, failed(0))], 1],
  ["six failed, and nothing is known of more", [times(6, failed(0))], 0],
];

describe("the health score", () => {
  for (const [title, steps, expected] of rows) {
    test(`is ${expected}: ${title}`, () => {
      const health = createHealthScore();
      for (const step of steps) step(health);
      expect(health.score).toBe(expected);
      expect(health.stretch).toBe(expected + 1);
    });
  }
});
