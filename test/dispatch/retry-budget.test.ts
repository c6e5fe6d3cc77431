// The one budget of all retries: never many more attempts than requests, yet enough to leave one dying engine.

import { describe, expect, test } from "bun:test";
import { createRetryBudget } from "../../src/dispatch/retry-budget.ts";

const start = 1_000_000;

/** A total outage: every request wants two attempts more. Answers attempts by requests, second by second. */
function outage(perSecond: number, seconds: number, leastSize = 1): number[] {
  const budget = createRetryBudget(() => leastSize, start);
  return Array.from({ length: seconds }, (_, second) => {
    let attempts = 0;
    for (let request = 0; request < perSecond; request += 1) {
      const now = start + second * 1000 + (request * 1000) / perSecond;
      budget.earn(now);
      attempts += 1;
      for (let retry = 0; retry < 2; retry += 1) if (budget.spend(now)) attempts += 1;
    }
    return attempts / perSecond;
  });
}

const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

describe("the retry budget", () => {
  test("keeps a total outage at 100 requests a second below 1.14 attempts each, its starting depth once spent", () => {
    const amplification = mean(outage(100, 120).slice(10));
    expect(amplification).toBeLessThanOrEqual(1.1 + 3 / 100 + 0.01);
    expect(amplification).toBeGreaterThan(1.1);
  });

  test("approaches 1.10 attempts a request as traffic grows", () => {
    expect(mean(outage(2000, 30).slice(10))).toBeLessThanOrEqual(1.105);
  });

  test("starts full: 30 retries at once, or as many as the largest pool where that is more", () => {
    for (const [leastSize, expected] of [
      [1, 30],
      [64, 64],
    ] as const) {
      const budget = createRetryBudget(() => leastSize, start);
      let spent = 0;
      while (budget.spend(start)) spent += 1;
      expect(spent).toBe(expected);
    }
  });

  test("holds ten seconds of earnings: after busy times more than after idle ones", () => {
    const budget = createRetryBudget(() => 1, start);
    const drained = (now: number): number => {
      let spent = 0;
      while (budget.spend(now)) spent += 1;
      return spent;
    };
    for (let request = 0; request < 10_000; request += 1) budget.earn(start + request);
    // A tenth of 10,000 requests, and 3 a second for ten seconds.
    expect(drained(start + 10_000)).toBeGreaterThanOrEqual(1000);
    expect(drained(start + 100_000)).toBeLessThanOrEqual(1030);
  });

  test("forgets a rush that is over: half a minute later only the steady earnings are left", () => {
    const budget = createRetryBudget(() => 1, start);
    for (let request = 0; request < 10_000; request += 1) budget.earn(start + request);
    budget.earn(start + 40_000);
    budget.earn(start + 50_000);
    let spent = 0;
    while (budget.spend(start + 50_000)) spent += 1;
    expect(spent).toBeLessThanOrEqual(31);
  });

  test("pays for hedges with its upper half only, so that who has nothing else still finds a token", () => {
    const budget = createRetryBudget(() => 1, start);
    let hedges = 0;
    while (budget.spendOnHedge(start)) hedges += 1;
    let retries = 0;
    while (budget.spend(start)) retries += 1;
    expect([hedges, retries]).toEqual([15, 15]);
    expect(budget.spendOnHedge(start)).toBe(false);
  });
});
