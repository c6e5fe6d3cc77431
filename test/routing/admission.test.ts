// What is let in, row by row; and who is known to serve what.

import { describe, expect, test } from "bun:test";
import type { EndpointView } from "../../src/fleet/endpoint-view.ts";
import { canAnswerIn, holdsIn, retryAfterMs, worthWaitingMs } from "../../src/routing/admission.ts";
import { balancers } from "../../src/routing/balancers/balancers.ts";
import { isAbsent } from "../../src/routing/models.ts";
import type { RoutingRequest } from "../../src/routing/request.ts";
import type { Seen } from "../support/views.ts";
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

describe("worthWaitingMs", () => {
  const request = (leftMs: number, more: Partial<RoutingRequest> = {}): RoutingRequest => ({
    sla: "realtime",
    ladder: [{ tier: "gold", balance: balancers["least-pressure"] }],
    model: undefined,
    stream: false,
    deadline: leftMs,
    ...more,
  });
  const waitMs = (endpoint: EndpointView, asked: RoutingRequest, withinMs = 1e6): number =>
    worthWaitingMs(endpoint, asked, withinMs, 0);
  const room = (seen: Seen) => view("a", { waiting: 1, queueLimit: 2, ...seen });

  test("needs a place and a turn before the deadline, strictly", () => {
    expect(waitMs(room({ expectedWaitMs: 99 }), request(100))).toBe(100);
    expect(waitMs(room({ expectedWaitMs: 100 }), request(100))).toBe(0);
    expect(waitMs(room({ waiting: 2, expectedWaitMs: 1 }), request(100))).toBe(0);
    expect(waitMs(view("a", { queueLimit: 0 }), request(100))).toBe(0);
  });

  test("hopes while the pace is unknown, but not without time", () => {
    expect(waitMs(view("a"), request(1))).toBe(1);
    expect(waitMs(view("a"), request(0))).toBe(0);
  });

  test("leaves the time that the quickest answers take, but for questions of one token", () => {
    const seen = room({ expectedWaitMs: 30, leastMs: 60 });
    expect(waitMs(seen, request(100))).toBe(40);
    expect(waitMs(seen, request(90))).toBe(0);
    expect(waitMs(seen, request(90, { share: 0.5 }))).toBe(90);
  });

  test("leaves the time that is enough for answers like it, where it ever had that much", () => {
    const seen = room({ expectedWaitMs: 30, leastMs: 10, enoughMs: 60 });
    expect(waitMs(seen, request(100))).toBe(40);
    expect(waitMs(seen, request(90))).toBe(0);
    // It had less from the start: it asks for less than they do.
    expect(waitMs(seen, request(60))).toBe(50);
    // It had more, and has waited it away.
    expect(waitMs(seen, request(60, { receivedAt: -40 }))).toBe(0);
    expect(waitMs(seen, request(90, { oneToken: true }))).toBe(90);
    expect(waitMs(seen, request(90, { share: 0.5 }))).toBe(90);
  });

  test("allows no more than it may wait, by expectation and by the clock", () => {
    expect(waitMs(room({ expectedWaitMs: 49 }), request(100), 50)).toBe(50);
    expect(waitMs(room({ expectedWaitMs: 50 }), request(100), 50)).toBe(0);
    expect(waitMs(room({}), request(100), 0)).toBe(0);
    expect(waitMs(room({ enoughMs: 60 }), request(100), 50)).toBe(40);
  });

  test("counts on a place in a full room that somebody makes, and not where there is no room at all", () => {
    const full = { waiting: 2, displaces: true } as const;
    expect(waitMs(room(full), request(100))).toBe(100);
    expect(waitMs(room({ ...full, displaces: false }), request(100))).toBe(0);
    expect(waitMs(view("a", { queueLimit: 0, displaces: true }), request(100))).toBe(0);
  });
});

describe("holdsIn", () => {
  const ladder = (["silver", "gold"] as const).map((tier) => ({
    tier,
    balance: balancers["least-pressure"],
  }));
  const asked = { sla: "interactive", ladder, model: undefined, stream: false, deadline: 100 } as const;

  test("tells what has spilled from what is at home, and realtime is at home everywhere", () => {
    expect(holdsIn("silver", asked).spilled).toBe(false);
    expect(holdsIn("gold", asked).spilled).toBe(true);
    expect(holdsIn("gold", { ...asked, sla: "realtime" }).spilled).toBe(false);
    expect(holdsIn("gold", { ...asked, ladder: ladder.slice(1) }).spilled).toBe(false);
    expect(holdsIn("gold", { ...asked, ladder: ladder.slice(1), spilled: true }).spilled).toBe(true);
  });

  test("names nobody for NPCs' questions and jobs, which are bounded by other means", () => {
    expect(holdsIn("gold", { ...asked, caller: "game", share: 0.5 })).toEqual({ shares: true });
    expect(holdsIn("gold", { ...asked, caller: "game", pressureBelow: 0.5 })).toEqual({ shares: false });
    expect(holdsIn("gold", { ...asked, caller: "game", session: "s" }).flow).toEqual({
      caller: "game",
      session: "s",
    });
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
