// What `tierline explain` prints about endpoints that were not chosen.

import { expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import { balancers } from "../../src/routing/balancers/balancers.ts";
import { explain } from "../../src/routing/explain.ts";
import type { RoutingRequest } from "../../src/routing/request.ts";
import type { Seen } from "../support/views.ts";
import { fleetOf, view } from "../support/views.ts";

const now = 1_000_000;
const rungs = (["gold", "silver"] as const).map((tier) => ({ tier, balance: balancers["least-pressure"] }));
const request: RoutingRequest = {
  sla: "realtime",
  ladder: rungs,
  model: undefined,
  stream: true,
  deadline: now + 1000,
};

function reasons(endpoints: Readonly<Record<string, Seen>>, asked: RoutingRequest = request): unknown {
  const fleet = fleetOf(Object.entries(endpoints).map(([name, seen]) => view(name, seen)));
  const { candidates } = explain(asked, fleet, now, seededRandom(1));
  return Object.fromEntries(candidates.map(({ endpoint, because }) => [endpoint, because]));
}

test("explain tells the chosen one, its neighbours, the lower rungs and what is not on the ladder apart", () => {
  const endpoints = { a: {}, b: { inflight: 1 }, c: { tier: "silver" }, d: { tier: "bronze" } } as const;
  expect(reasons(endpoints)).toEqual({
    a: "chosen",
    b: "less-preferred",
    c: "lower-rung",
    d: "not-on-ladder",
  });
});

test("explain gives each endpoint its own reason for being passed over", () => {
  const endpoints = {
    unhealthy: { health: "unhealthy" },
    silent: { silent: true },
    barred: { barred: true },
    broken: { open: "all" },
    pushed: { pushedBack: true },
    slow: { usualFirstByteMs: 5000, inflight: 1 },
    full: { inflight: 2, queueLimit: 0 },
    other: { models: ["n"] },
    shared: { sharing: 1 },
    well: { tier: "silver" },
  } as const;
  expect(reasons(endpoints, { ...request, model: "m", share: 0.5 })).toEqual({
    unhealthy: "unhealthy",
    silent: "silent",
    barred: "barred",
    broken: "breaker-open",
    pushed: "pushed-back",
    slow: "too-slow",
    full: "full",
    other: "other-model",
    shared: "share-full",
    well: "chosen",
  });
});

test("explain says of each peer why nothing goes there now", () => {
  const endpoints = {
    here: { inflight: 2, queueLimit: 0 },
    free: { peer: {} },
    crowded: { peer: {}, pressure: 0.9 },
    suspect: { peer: { suspect: true } },
    draining: { peer: { refusal: "draining" } },
    stale: { peer: { refusal: "stale" } },
    troubled: { peer: { refusal: "troubled-there" } },
    full: { peer: { free: 0 } },
    claimed: { peer: { spokenFor: true } },
    unfair: { peer: {}, overShare: true },
    barred: { peer: {}, barred: true },
    lower: { tier: "silver", peer: {} },
  } as const;
  expect(reasons(endpoints, { ...request, caller: "game" })).toEqual({
    here: "full",
    free: "chosen",
    crowded: "less-preferred",
    suspect: "suspect",
    draining: "draining",
    stale: "stale",
    troubled: "troubled-there",
    full: "full",
    claimed: "spoken-for",
    unfair: "over-share",
    barred: "barred",
    lower: "lower-rung",
  });
});

test("explain prints where and how long a request would wait, and when a shed one should return", () => {
  const wait = explain(request, fleetOf([view("a", { inflight: 2 })]), now, () => 0.5);
  expect(wait.decision).toEqual({
    do: "wait",
    because: "local-full",
    endpoint: "a",
    tier: "gold",
    max_wait_ms: 1000,
  });
  const shed = explain(request, fleetOf([]), now, () => 0.5);
  expect(shed.decision).toEqual({ do: "shed", because: "no-endpoint", retry_after_ms: 1000 });
});
