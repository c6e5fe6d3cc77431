// When routing says that a call may be doubled, and after how long.

import { describe, expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import type { Tier } from "../../src/fleet/endpoint.ts";
import type { EndpointView } from "../../src/fleet/endpoint-view.ts";
import { balancers } from "../../src/routing/balancers/balancers.ts";
import { besideOf } from "../../src/routing/hedging.ts";
import type { RoutingRequest } from "../../src/routing/request.ts";
import { route } from "../../src/routing/route.ts";
import { resolveAsked } from "../../src/routing/sla.ts";
import { rungsOf } from "../support/rungs.ts";
import { fleetOf, view } from "../support/views.ts";

const now = 1_000_000;
const balance = balancers["least-pressure"];
const rung = (tier: Tier, hedges = true) => ({ tier, balance, hedges });

const request: RoutingRequest = {
  sla: "realtime",
  ladder: [rung("gold"), rung("silver")],
  model: undefined,
  stream: true,
  deadline: now + 1000,
};

const slow = view("g1", { hedgeAfterMs: 40 });
const other = view("g2", { inflight: 1, hedgeAfterMs: 40 });
const silver = view("s1", { tier: "silver" });

function delayOf(more: Partial<RoutingRequest>, endpoints: readonly EndpointView[] = [slow, other]) {
  const decision = route({ ...request, ...more }, fleetOf([...endpoints]), [], now, seededRandom(1));
  return decision.do === "try" ? decision.hedgeAfterMs : decision.do;
}

describe("a decision to try", () => {
  const cases: [title: string, more: Partial<RoutingRequest>, delayMs: number | undefined][] = [
    ["names the endpoint's own delay for a stream", {}, 40],
    ["and for a question of one token", { stream: false, oneToken: true }, 40],
    ["names none for a whole answer", { stream: false }, undefined],
    ["nor where the rung does not hedge", { ladder: [rung("gold", false)] }, undefined],
    ["nor for async work", { sla: "async" }, undefined],
    ["nor for what yields to all", { pressureBelow: 0.9 }, undefined],
    ["nor for what a peer has sent", { only: "g1" }, undefined],
    ["nor where two delays do not fit into the time that is left", { deadline: now + 80 }, undefined],
    ["but where they just do", { deadline: now + 81 }, 40],
  ];
  for (const [title, more, delayMs] of cases) test(title, () => expect(delayOf(more)).toBe(delayMs));

  test("names none where it is the only endpoint of its tier", () => {
    expect(delayOf({}, [slow, silver])).toBeUndefined();
  });

  test("names none where the endpoint has no tail", () => {
    expect(delayOf({}, [view("g1"), other])).toBeUndefined();
  });
});

describe("a hedge", () => {
  const beside = (endpoints: readonly EndpointView[], panic = false) => {
    const tried = [{ endpoint: "g1", outcome: "cancelled" }] as const;
    const asked = besideOf(request, slow);
    const decision = route(asked, fleetOf([...endpoints], panic), tried, now, seededRandom(1));
    return decision.do === "try" ? decision.endpoint.spec.name : decision.do;
  };

  test("goes to another endpoint of the tier", () => expect(beside([slow, other])).toBe("g2"));
  test("never to another tier", () => expect(beside([slow, silver])).toBe("shed"));
  test("never waits", () => expect(beside([slow, view("g2", { inflight: 2 })])).toBe("shed"));
  test("never goes where three quarters are taken", () => {
    expect(beside([slow, view("g2", { pressure: 0.75 })])).toBe("shed");
    expect(beside([slow, view("g2", { pressure: 0.74 })])).toBe("g2");
  });
  for (const seen of [{ barred: true }, { silent: true }, { open: "all" }, { pushedBack: true }] as const)
    test(`is never a guess: ${Object.keys(seen).join()}`, () =>
      expect(beside([slow, view("g2", seen)])).toBe("shed"));
  test("never goes to a suspect, panic or not", () => {
    expect(beside([slow, view("g2", { peer: { suspect: true } })], true)).toBe("shed");
  });
  test("may go to a peer with room", () => expect(beside([slow, view("g2", { peer: {} })])).toBe("g2"));
});

test("who names a tier or an alias has the hedges of that tier", () => {
  const rule = { ladder: [rung("silver")], firstByteMs: 1, totalMs: 2 };
  const policy = {
    sla: { realtime: rule, interactive: rule, async: rule },
    aliases: new Map(),
    rungs: { ...rungsOf(), gold: rung("gold") },
  };
  expect(resolveAsked(policy, undefined, "gold").ladder[0]?.hedges).toBe(true);
  expect(resolveAsked({ ...policy, rungs: rungsOf() }, undefined, "gold").ladder[0]?.hedges).toBeUndefined();
});
