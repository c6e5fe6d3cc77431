// The policy, row by row, and what must hold in every situation.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { seededRandom } from "../../src/base/random.ts";
import { outcomes } from "../../src/fleet/outcome.ts";
import { admissionRule } from "../../src/routing/admission.ts";
import { balancers } from "../../src/routing/balancers/balancers.ts";
import { whyNot } from "../../src/routing/candidates.ts";
import { explain } from "../../src/routing/explain.ts";
import type { RoutingRequest, Tried } from "../../src/routing/request.ts";
import { route } from "../../src/routing/route.ts";
import type { Seen } from "../support/views.ts";
import { fleetOf, view } from "../support/views.ts";
import type { RouteCase } from "./route.cases.ts";
import { routeCases } from "./route.cases.ts";

const now = 1_000_000;
const tierOf = { g: "gold", s: "silver", b: "bronze" } as const;

function tierNamed(name: string): "gold" | "silver" | "bronze" {
  const [first] = name;
  if (first === "g" || first === "s" || first === "b") return tierOf[first];
  throw new Error(`${name} says nothing of its tier`);
}

function situation(each: Omit<RouteCase, "title" | "decision">) {
  const endpoints = Object.entries(each.endpoints).map(([name, seen]) =>
    view(name, { ...seen, tier: tierNamed(name) }),
  );
  const request: RoutingRequest = {
    sla: each.sla ?? "realtime",
    ladder: (each.ladder ?? ["gold", "silver", "bronze"]).map((tier) => ({
      tier,
      balance: balancers["least-pressure"],
    })),
    model: each.model,
    stream: each.stream ?? each.waitsMs !== undefined,
    deadline: now + (each.leftMs ?? 1000),
    ...(each.waitsMs === undefined ? {} : { waitsUntil: now + each.waitsMs }),
    share: each.share,
    session: each.session,
    elsewhere: each.elsewhere,
    only: each.only,
    laneMs: each.laneMs,
    pressureBelow: each.pressureBelow,
  };
  const tried: Tried[] = Object.entries(each.tried ?? {}).map(([endpoint, outcome]) => ({
    endpoint,
    outcome,
  }));
  return { fleet: fleetOf(endpoints, each.panic), request, tried };
}

describe("route", () => {
  for (const each of routeCases) {
    test(`${each.title}: ${each.decision}`, () => {
      const { fleet, request, tried } = situation(each);
      const decision = route(request, fleet, tried, now, seededRandom(1));
      const told =
        "endpoint" in decision
          ? `${decision.do} ${decision.endpoint.spec.name} ${decision.because}`
          : `${decision.do} ${decision.because}`;
      expect(decision.do === "wait" ? `${told} ${decision.maxWaitMs}` : told).toBe(each.decision);
    });
  }

  test("the table has at least 35 rows, no title twice, and every kind of decision", () => {
    expect(routeCases.length).toBeGreaterThanOrEqual(35);
    expect(new Set(routeCases.map(({ title }) => title)).size).toBe(routeCases.length);
    for (const word of ["try", "wait", "shed", "defer"]) {
      expect(routeCases.some(({ decision }) => decision.startsWith(word))).toBe(true);
    }
  });

  const shedAfter = (endpoints: Readonly<Record<string, Seen>>): number[] => {
    const { fleet, request } = situation({ endpoints });
    return [0, 0.5, 0.999].map((dice) => {
      const decision = route(request, fleet, [], now, () => dice);
      return decision.do === "shed" ? decision.retryAfterMs : Number.NaN;
    });
  };

  test("a shed caller is told when a slot will be free, spread by ±25 %", () => {
    expect(shedAfter({ g: { inflight: 2, waiting: 2, expectedWaitMs: 400 } })).toEqual([300, 400, 500]);
  });

  test("a shed caller is told of the slot that will be free first", () => {
    const endpoints = {
      g: { inflight: 2, waiting: 2, expectedWaitMs: 4000 },
      s: { inflight: 2, queueLimit: 0, expectedWaitMs: 400 },
    };
    expect(shedAfter(endpoints)).toEqual([300, 400, 500]);
  });

  test("a caller with no endpoint is told a second, one before full engines of unknown pace a quarter", () => {
    expect(shedAfter({})).toEqual([750, 1000, 1250]);
    expect(shedAfter({ g: { inflight: 2, waiting: 2 } })).toEqual([188, 250, 313]);
  });

  test("nobody is told to wait longer than a minute", () => {
    for (const ms of shedAfter({ g: { inflight: 2, waiting: 2, expectedWaitMs: 1e9 } })) {
      expect(ms).toBe(admissionRule.retryAfterMostMs);
    }
  });
});

const seen: fc.Arbitrary<Seen> = fc.record({
  inflight: fc.integer({ min: 0, max: 3 }),
  waiting: fc.integer({ min: 0, max: 2 }),
  sharing: fc.integer({ min: 0, max: 2 }),
  queueLimit: fc.integer({ min: 0, max: 2 }),
  models: fc.constantFrom<"unsaid" | string[]>("unsaid", [], ["m"], ["n"], ["m", "n"]),
  health: fc.constantFrom("ok", "unknown", "unhealthy"),
  silent: fc.boolean(),
  barred: fc.boolean(),
  pushedBack: fc.boolean(),
  open: fc.constantFrom<"all" | string[]>([], ["m"], "all"),
  usualFirstByteMs: fc.integer({ min: 0, max: 2000 }),
  expectedWaitMs: fc.integer({ min: 0, max: 2000 }),
});
const seenPeer: fc.Arbitrary<Seen> = fc
  .tuple(
    seen,
    fc.record({
      far: fc.boolean(),
      suspect: fc.boolean(),
      free: fc.integer({ min: -1, max: 2 }),
      spokenFor: fc.boolean(),
    }),
    fc.constantFrom(undefined, "draining", "stale", "troubled-there"),
  )
  .map(([own, peer, refusal]) => ({
    ...own,
    queueLimit: 0,
    peer: { ...peer, ...(refusal === undefined ? {} : { refusal }) },
  }));
const kinds = Object.keys(outcomes) as (keyof typeof outcomes)[];
const anySituation: fc.Arbitrary<Omit<RouteCase, "title" | "decision">> = fc.record({
  endpoints: fc
    .tuple(
      fc.dictionary(fc.constantFrom("g1", "g2", "s1", "s2", "b1"), seen),
      fc.dictionary(fc.constantFrom("gp1", "gp2", "gp3", "sp1", "sp2"), seenPeer),
    )
    .map(([local, peers]) => ({ ...local, ...peers })),
  panic: fc.boolean(),
  ladder: fc.subarray(["gold", "silver", "bronze"] as const),
  stream: fc.boolean(),
  leftMs: fc.integer({ min: -10, max: 2000 }),
  tried: fc.dictionary(fc.constantFrom("g1", "g2", "s1", "s2", "b1"), fc.constantFrom(...kinds)),
});

describe("in every situation route", () => {
  const maybe = <T>(...values: readonly T[]) => fc.option(fc.constantFrom(...values), { nil: undefined });
  const check = (holds: (each: ReturnType<typeof situation>) => void): void => {
    fc.assert(
      fc.property(anySituation, maybe("m", "n"), maybe(0.1, 0.5, 1), (each, model, share) => {
        holds(
          situation({
            ...each,
            ...(model === undefined ? {} : { model }),
            ...(share === undefined ? {} : { share }),
          }),
        );
      }),
      { numRuns: 1000 },
    );
  };

  test("tries only what has a free slot, is on the ladder, was not tried, may serve the model and is not vetoed", () => {
    check(({ fleet, request, tried }) => {
      const decision = route(request, fleet, tried, now, seededRandom(1));
      if (decision.do !== "try") return;
      const { endpoint } = decision;
      if (endpoint.peer === undefined) expect(endpoint.inflight).toBeLessThan(endpoint.spec.slots);
      else expect(endpoint.peer.freeSlots(now)).toBeGreaterThan(0);
      expect(endpoint.health).not.toBe("unhealthy");
      expect(tried.map((attempt) => attempt.endpoint)).not.toContain(endpoint.spec.name);
      expect(request.ladder.map(({ tier }) => tier)).toContain(endpoint.spec.tier);
      if (request.model !== undefined && endpoint.models !== undefined) {
        expect(endpoint.models).toContain(request.model);
      }
    });
  });

  test("waits only at a full endpoint whose room has a place and whose turn comes in time", () => {
    check(({ fleet, request, tried }) => {
      const decision = route(request, fleet, tried, now, seededRandom(1));
      if (decision.do !== "wait") return;
      const { endpoint, maxWaitMs } = decision;
      expect(endpoint.inflight).toBeGreaterThanOrEqual(endpoint.spec.slots);
      expect(endpoint.waiting).toBeLessThan(endpoint.spec.queueLimit);
      expect(endpoint.expectedWaitMs() ?? 0).toBeLessThan(maxWaitMs);
      expect(maxWaitMs).toBe(request.deadline - now);
    });
  });

  test("neither tries nor waits where the share is taken, and takes no guess with a share", () => {
    check(({ fleet, request, tried }) => {
      const decision = route(request, fleet, tried, now, seededRandom(1));
      if (!("endpoint" in decision) || request.share === undefined) return;
      const { endpoint, because } = decision;
      const slots = Math.max(1, Math.floor(request.share * endpoint.spec.slots));
      expect(endpoint.sharing).toBeLessThan(slots);
      expect(because).not.toBe("panic");
    });
  });

  test("decides for a request without a share as if there were none", () => {
    check(({ fleet, request, tried }) => {
      const without = { ...request, share: undefined };
      const nobodyShares = fleetOf(
        fleet.endpoints.map((endpoint) => ({ ...endpoint, sharing: 0 })),
        fleet.panic,
      );
      const here = route(without, fleet, tried, now, seededRandom(1));
      const there = route(without, nobodyShares, tried, now, seededRandom(1));
      expect([here.do, here.because]).toEqual([there.do, there.because]);
    });
  });

  test("defers only what the lane takes, with the time that it needs, and from the bronze rung", () => {
    check(({ fleet, request, tried }) => {
      const decision = route({ ...request, laneMs: 300 }, fleet, tried, now, seededRandom(1));
      expect(route(request, fleet, tried, now, seededRandom(1)).do).not.toBe("defer");
      if (decision.do !== "defer") return;
      expect(request.deadline - now).toBeGreaterThan(300);
      expect(request.ladder.map(({ tier }) => tier)).toContain("bronze");
    });
  });

  test("below a pressure neither waits nor guesses, and takes nobody's next slot", () => {
    check(({ fleet, request, tried }) => {
      const decision = route({ ...request, pressureBelow: 0.5 }, fleet, tried, now, seededRandom(1));
      expect(decision.do).not.toBe("wait");
      if (decision.do !== "try") return;
      expect(decision.because).not.toBe("panic");
      expect(decision.endpoint.pressure(now)).toBeLessThan(0.5);
      expect(decision.endpoint.waiting).toBe(0);
    });
  });

  test("sends a peer nothing that it, the gossip or the others' share forbids, and a suspect one only in panic", () => {
    check(({ fleet, request, tried }) => {
      const decision = route(request, fleet, tried, now, seededRandom(1));
      if (!("endpoint" in decision)) return;
      const { peer } = decision.endpoint;
      if (peer === undefined) return;
      expect(decision.do).toBe("try");
      expect(peer.refusal(now)).toBeUndefined();
      expect(peer.freeSlots(now)).toBeGreaterThan(0);
      expect(peer.permits(now)).toBe(true);
      if (peer.host.suspect) expect([fleet.panic, decision.because]).toEqual([true, "panic"]);
    });
  });

  test("never leaves a free slot here for a peer on the same rung", () => {
    check(({ fleet, request, tried }) => {
      const decision = route(request, fleet, tried, now, seededRandom(1));
      if (decision.do !== "try" || decision.endpoint.peer === undefined) return;
      for (const endpoint of fleet.places(decision.endpoint.spec.tier).local)
        expect(whyNot(endpoint, request, tried, now)).toBeDefined();
    });
  });

  test("starts nothing and waits for nothing when the deadline is over", () => {
    check(({ fleet, request, tried }) => {
      const late = { ...request, deadline: now - 1 };
      expect(route(late, fleet, tried, now, seededRandom(1)).do).toBe("shed");
    });
  });

  test("explains the decision that it takes, and names a reason for everybody", () => {
    check(({ fleet, request }) => {
      const decision = route(request, fleet, [], now, seededRandom(7));
      const { decision: told, candidates } = explain(request, fleet, now, seededRandom(7));
      expect(told.do).toBe(decision.do);
      expect(told.because).toBe(decision.because);
      expect(candidates.map(({ endpoint }) => endpoint)).toEqual(
        fleet.endpoints.map(({ spec }) => spec.name),
      );
      const chosen = candidates.filter(({ because }) => because === "chosen").map(({ endpoint }) => endpoint);
      expect(chosen).toEqual("endpoint" in decision ? [decision.endpoint.spec.name] : []);
    });
  });
});
