// Who waits is called to another endpoint only where routing would then let it try: checked against `route` itself.

import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Tier } from "../../src/fleet/endpoint.ts";
import { balancers } from "../../src/routing/balancers/balancers.ts";
import { mayCallAway } from "../../src/routing/call-away.ts";
import type { RoutingRequest, Tried } from "../../src/routing/request.ts";
import { route } from "../../src/routing/route.ts";
import type { Seen } from "../support/views.ts";
import { fleetOf, view } from "../support/views.ts";

const now = 1000;
const half = (): number => 0.5;
const rung = (tier: Tier) => ({ tier, balance: balancers["least-pressure"] });

const anySeen: fc.Arbitrary<Seen> = fc.record(
  {
    tier: fc.constantFrom<Tier>("gold", "gold", "silver"),
    inflight: fc.constantFrom(0, 2, 2, 2, 2, 2),
    waiting: fc.nat(2),
    overShare: fc.constantFrom<NonNullable<Seen["overShare"]>[]>(false, false, true, "spilled"),
    barred: fc.boolean(),
    pushedBack: fc.boolean(),
    open: fc.constantFrom<NonNullable<Seen["open"]>[]>([], [], "all"),
    models: fc.constantFrom(["m"], ["m"], ["other"]),
    expectedWaitMs: fc.constantFrom(10, 300, 5000),
    peer: fc.record({
      suspect: fc.boolean(),
      joining: fc.boolean(),
      spokenFor: fc.boolean(),
      free: fc.constantFrom(0, 0, 0, 2),
    }),
  },
  { requiredKeys: ["tier", "inflight"] },
);
/** What becomes of one of them while somebody waits. */
const anyChange: fc.Arbitrary<Seen> = fc.oneof(
  anySeen,
  fc.record(
    {
      tier: fc.constantFrom<Tier>("gold", "silver"),
      peer: fc.record({ suspect: fc.boolean(), joining: fc.boolean(), free: fc.constant(2) }),
    },
    { requiredKeys: ["tier"] },
  ),
);
const anyRequest: fc.Arbitrary<RoutingRequest> = fc.record({
  sla: fc.constantFrom("realtime", "interactive"),
  ladder: fc.constantFrom([rung("gold")], [rung("gold"), rung("silver")], [rung("silver"), rung("gold")]),
  model: fc.constantFrom(undefined, "m"),
  stream: fc.constant(true),
  deadline: fc.constant(now + 1000),
  waitsUntil: fc.constantFrom(now, now + 500, now + 1000),
  session: fc.constantFrom(undefined, "one"),
  share: fc.constantFrom(undefined, undefined, 1),
});
const bounced: readonly Tried[] = ["x", "y"].map((endpoint) => ({ endpoint, outcome: "busy" }));

test("called away is who would try at once, or has a turn soon by now; and nobody who has just decided to wait", () => {
  let waits = 0;
  let calls = 0;
  fc.assert(
    fc.property(
      fc.array(anySeen, { minLength: 2, maxLength: 5 }),
      anyRequest,
      fc.constantFrom([], [], bounced),
      fc.boolean(),
      fc.nat(),
      anyChange,
      (all, request, tried, panic, at, next) => {
        const endpoints = all.map((seen, index) => view(`e${index}`, seen));
        const fleet = fleetOf(endpoints, panic);
        const wait = route(request, fleet, tried, now, half);
        if (wait.do !== "wait") return;
        waits += 1;
        for (const endpoint of endpoints)
          expect(mayCallAway(wait, endpoint, request, fleet, tried, now)).toBe(false);
        const place = at % endpoints.length;
        if (endpoints[place] === wait.endpoint) return;
        const changed = view(`e${place}`, next);
        const later = fleetOf(endpoints.with(place, changed), panic);
        const decision = route(request, later, tried, now, half);
        if (mayCallAway(wait, changed, request, later, tried, now)) {
          calls += 1;
          expect(decision.do === "try" || (wait.isLate && decision.do === "wait" && !decision.isLate)).toBe(
            true,
          );
        } else if (decision.do === "try" && changed.peer === undefined)
          expect(decision.endpoint).not.toBe(changed);
      },
    ),
    { numRuns: 10_000, seed: 7 },
  );
  expect([waits > 200, calls > 50]).toEqual([true, true]);
});

test("nobody is called to a peer above his room who would not ask one more of those whose news is old", () => {
  const request: RoutingRequest = {
    sla: "interactive",
    ladder: [rung("gold"), rung("silver")],
    model: "m",
    stream: true,
    deadline: now + 1000,
    waitsUntil: now + 500,
  };
  const withFree = (free: number) =>
    fleetOf([
      view("late", { inflight: 2, expectedWaitMs: 700 }),
      view("peer", { peer: { free } }),
      view("soon", { tier: "silver", inflight: 2, expectedWaitMs: 10 }),
    ]);
  const wait = route(request, withFree(0), bounced, now, half);
  if (wait.do !== "wait") throw new Error(wait.do);
  const later = withFree(2);
  expect(route(request, later, bounced, now, half)).toMatchObject({ do: "wait", isLate: false });
  const calls = later.peers.map((peer) => mayCallAway(wait, peer, request, later, bounced, now));
  expect(calls).toEqual([false]);
});

test("nobody is called to an endpoint that is not in the fleet any more", () => {
  const request: RoutingRequest = {
    sla: "interactive",
    ladder: [rung("gold")],
    model: "m",
    stream: true,
    deadline: now + 1000,
  };
  const full = view("full", { inflight: 2, expectedWaitMs: 10 });
  const fleet = fleetOf([full]);
  const wait = route(request, fleet, [], now, half);
  if (wait.do !== "wait") throw new Error(wait.do);
  const gone = view("gone");
  expect(mayCallAway(wait, gone, request, fleetOf([full, gone]), [], now)).toBe(true);
  // Another one may have its name by now.
  for (const after of [fleet, fleetOf([full, view("gone", { inflight: 2 })])])
    expect(mayCallAway(wait, gone, request, after, [], now)).toBe(false);
});
