// What is let in, row by row; and who is known to serve what.

import { describe, expect, test } from "bun:test";
import { canAnswerIn, retryAfterMs, worthWaiting } from "../../src/routing/admission.ts";
import { isAbsent } from "../../src/routing/models.ts";
import { fleetOf, view } from "../support/views.ts";

describe("canAnswerIn", () => {
  const stream = (usualFirstByteMs: number, leftMs: number): boolean =>
    canAnswerIn(view("a", { usualFirstByteMs, inflight: 1 }), true, leftMs, 0);

  test("lets a stream in whose usual first byte comes before the deadline, strictly", () => {
    expect([stream(49, 50), stream(50, 50), stream(51, 50)]).toEqual([true, false, false]);
  });

  test("lets a stream in while nothing is known", () => {
    expect(canAnswerIn(view("a"), true, 1, 0)).toBe(true);
  });

  test("does not judge whole answers by the pace of streams", () => {
    expect(canAnswerIn(view("a", { usualFirstByteMs: 60_000 }), false, 1, 0)).toBe(true);
  });
});

describe("worthWaiting", () => {
  test("needs a place and a turn before the deadline, strictly", () => {
    expect(worthWaiting(view("a", { waiting: 1, queueLimit: 2, expectedWaitMs: 99 }), 100)).toBe(true);
    expect(worthWaiting(view("a", { waiting: 1, queueLimit: 2, expectedWaitMs: 100 }), 100)).toBe(false);
    expect(worthWaiting(view("a", { waiting: 2, queueLimit: 2, expectedWaitMs: 1 }), 100)).toBe(false);
    expect(worthWaiting(view("a", { queueLimit: 0 }), 100)).toBe(false);
  });

  test("hopes while the pace is unknown, but not without time", () => {
    expect(worthWaiting(view("a"), 1)).toBe(true);
    expect(worthWaiting(view("a"), 0)).toBe(false);
  });
});

test("retryAfterMs spreads by ±25 %, in whole milliseconds from 1 to 60,000", () => {
  expect([0, 0.5, 0.999].map((dice) => retryAfterMs(1000, () => dice))).toEqual([750, 1000, 1250]);
  expect(retryAfterMs(0, () => 0)).toBe(1);
  expect(retryAfterMs(10_000_000, () => 0)).toBe(60_000);
});

describe("isAbsent", () => {
  test("a model is served where one endpoint lists it, whatever the others say", () => {
    const fleet = fleetOf([view("a", { models: "unsaid" }), view("b", { models: ["n"] })]);
    expect(isAbsent(fleet, "n")).toBe(false);
  });

  test("nobody is sure while an endpoint has not said what it serves", () => {
    expect(isAbsent(fleetOf([view("a"), view("b", { models: "unsaid" })]), "n")).toBe(false);
  });

  test("a model is absent where all have spoken, and where there is nobody", () => {
    expect(isAbsent(fleetOf([view("a"), view("b", { models: [] })]), "n")).toBe(true);
    expect(isAbsent(fleetOf([]), "n")).toBe(true);
  });
});
