// What every balancer must do, run over the table of balancers, against endpoints that live through the traffic.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Instant } from "../../src/base/clock.ts";
import type { Random } from "../../src/base/random.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { EndpointState } from "../../src/fleet/endpoint-state.ts";
import type { EndpointView } from "../../src/fleet/endpoint-view.ts";
import type { Fleet } from "../../src/fleet/fleet.ts";
import { createFleet } from "../../src/fleet/fleet.ts";
import type { OutcomeKind } from "../../src/fleet/outcome.ts";
import type { BalancerName } from "../../src/routing/balancers/balancers.ts";
import { balancerNames, balancers } from "../../src/routing/balancers/balancers.ts";
import type { RoutingRequest } from "../../src/routing/request.ts";
import { route } from "../../src/routing/route.ts";
import { view } from "../support/views.ts";

const start = 1_000_000;

function goldFleet(names: readonly string[], slots = 64): Fleet {
  const spec = { tier: "gold", locality: "local", slots, queueLimit: 64 } as const;
  return createFleet(names.map((name) => ({ spec: { ...spec, name }, identity: name, models: ["m"] })));
}

interface Simulation {
  readonly fleet: Fleet;
  readonly balancer: BalancerName;
  readonly perSecond: number;
  readonly seconds: number;
  readonly random: Random;
  /** How a call that begins now will end, and after how long. */
  behave(endpoint: EndpointState, now: Instant): { readonly kind: OutcomeKind; readonly afterMs: number };
}

/** Sends requests at an even pace through `route`; answers the picks, in order. */
function simulate(options: Simulation): { readonly at: Instant; readonly name: string }[] {
  const { fleet, balancer, perSecond, seconds, random, behave } = options;
  const picks: { at: Instant; name: string }[] = [];
  const running: { until: Instant; end: (now: Instant) => void }[] = [];
  for (let index = 0; index < perSecond * seconds; index += 1) {
    const now = start + (index * 1000) / perSecond;
    for (const call of running.filter(({ until }) => until <= now)) {
      running.splice(running.indexOf(call), 1);
      call.end(call.until);
    }
    const request: RoutingRequest = {
      sla: "realtime",
      ladder: [{ tier: "gold", balance: balancers[balancer] }],
      model: undefined,
      stream: false,
      deadline: now + 2000,
    };
    const decision = route(request, fleet, [], now, random);
    const endpoint = decision.do === "try" ? fleet.named(decision.endpoint.spec.name) : undefined;
    if (endpoint === undefined) continue;
    picks.push({ at: now - start, name: endpoint.spec.name });
    const { kind, afterMs } = behave(endpoint, now);
    endpoint.begin("m", false, fleet.nextPick(), now);
    running.push({
      until: now + afterMs,
      end: (at) => void endpoint.end({ kind, model: "m", stream: false, totalMs: afterMs }, at, random),
    });
  }
  return picks;
}

const shareOf = (picks: readonly { readonly name: string }[], name: string): number =>
  picks.filter((pick) => pick.name === name).length / picks.length;

for (const name of balancerNames) {
  const balance = balancers[name];

  describe(`the ${name} balancer`, () => {
    test("answers one of its candidates, whatever they look like and however the dice fall", () => {
      const anyView: fc.Arbitrary<EndpointView> = fc
        .record({ pressure: fc.double({ min: 0, max: 10, noNaN: true }), lastPick: fc.nat(100) })
        .map((seen) => view("x", seen));
      const dice = fc.constantFrom(0, 0.25, 0.5, 0.75, 1 - 2 ** -53);
      fc.assert(
        fc.property(anyView, fc.array(anyView, { maxLength: 8 }), dice, (first, others, rolled) => {
          expect([first, ...others]).toContain(balance([first, ...others], start, () => rolled));
        }),
      );
    });

    test("starves nobody: of four equal endpoints each gets 15 to 35 %", () => {
      const names = ["a", "b", "c", "d"];
      const picks = simulate({
        fleet: goldFleet(names),
        balancer: name,
        perSecond: 200,
        seconds: 5,
        random: seededRandom(3),
        behave: () => ({ kind: "ok", afterMs: 20 }),
      });
      for (const each of names) {
        expect(shareOf(picks, each)).toBeGreaterThan(0.15);
        expect(shareOf(picks, each)).toBeLessThan(0.35);
      }
    });

    for (const kind of ["busy", "server-error", "refused"] as const) {
      test(`gives an endpoint that fails at once with ${kind} under 2 % of the traffic after the first second`, () => {
        for (const seed of [1, 2, 3]) {
          const picks = simulate({
            fleet: goldFleet(["bad", "good", "fine"]),
            balancer: name,
            perSecond: 200,
            seconds: 11,
            random: seededRandom(seed),
            behave: ({ spec }) => (spec.name === "bad" ? { kind, afterMs: 1 } : { kind: "ok", afterMs: 40 }),
          });
          const later = picks.filter(({ at }) => at >= 1000);
          expect(later.length).toBeGreaterThan(1900);
          expect(shareOf(later, "bad")).toBeLessThan(0.02);
          // And the others carry it alike.
          expect(shareOf(later, "good")).toBeGreaterThan(0.4);
        }
      });
    }
  });
}

describe("round-robin", () => {
  test("takes exact turns, whatever the load", () => {
    const picks = simulate({
      fleet: goldFleet(["a", "b", "c"]),
      balancer: "round-robin",
      perSecond: 100,
      seconds: 1,
      random: seededRandom(1),
      behave: ({ spec }) => ({ kind: "ok", afterMs: spec.name === "a" ? 500 : 5 }),
    });
    expect(picks.length).toBe(100);
    picks.forEach(({ name }, index) => {
      expect(name).toBe(["a", "b", "c"][index % 3] ?? "");
    });
  });
});

describe("least-pressure", () => {
  test("lets idle endpoints take turns", () => {
    const picks = simulate({
      fleet: goldFleet(["a", "b", "c"]),
      balancer: "least-pressure",
      perSecond: 10,
      seconds: 3,
      random: seededRandom(1),
      behave: () => ({ kind: "ok", afterMs: 5 }),
    });
    expect(picks.slice(0, 6).map(({ name }) => name)).toEqual(["a", "b", "c", "a", "b", "c"]);
  });

  test("gives a slow endpoint less, because its calls pile up", () => {
    const picks = simulate({
      fleet: goldFleet(["slow", "quick"]),
      balancer: "least-pressure",
      perSecond: 200,
      seconds: 5,
      random: seededRandom(1),
      behave: ({ spec }) => ({ kind: "ok", afterMs: spec.name === "slow" ? 400 : 100 }),
    });
    expect(shareOf(picks, "slow")).toBeLessThan(0.25);
    expect(shareOf(picks, "slow")).toBeGreaterThan(0.1);
  });
});

for (const balancer of ["least-pressure", "p2c"] as const) {
  test(`with ${balancer}, the share of an endpoint that is just back ramps up over its slow start`, () => {
    const fleet = goldFleet(["back", "stayed"]);
    const back = fleet.named("back");
    back?.setHealth("unhealthy", start - 1000);
    back?.setHealth("ok", start);
    const picks = simulate({
      fleet,
      balancer,
      perSecond: 200,
      seconds: 40,
      random: seededRandom(5),
      behave: () => ({ kind: "ok", afterMs: 100 }),
    });
    const during = (fromMs: number, untilMs: number): number =>
      shareOf(
        picks.filter(({ at }) => at >= fromMs && at < untilMs),
        "back",
      );
    expect(during(0, 3000)).toBeLessThan(0.2);
    expect(during(0, 3000)).toBeGreaterThan(0.02);
    expect(during(10_000, 15_000)).toBeGreaterThan(during(0, 3000));
    expect(during(25_000, 30_000)).toBeGreaterThan(during(10_000, 15_000));
    expect(during(32_000, 40_000)).toBeGreaterThan(0.45);
    expect(during(32_000, 40_000)).toBeLessThan(0.55);
  });
}

test("with p2c, the more pressed of two is never chosen", () => {
  const easy = view("easy", { pressure: 0.1 });
  const pressed = view("pressed", { pressure: 0.9 });
  const random = seededRandom(9);
  for (let turn = 0; turn < 200; turn += 1) {
    expect(balancers.p2c([easy, pressed], start, random).spec.name).toBe("easy");
    expect(balancers.p2c([pressed, easy], start, random).spec.name).toBe("easy");
  }
});
