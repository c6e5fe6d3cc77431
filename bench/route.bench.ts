// One decision over 32 endpoints: `route()` must cost at most 0.5 µs, or routing would show in a 16 ms budget. Once with
// all of them on this host, once with 30 behind peers and this host full, and once on a host with one engine alone.
// Prints the median of the rounds and each round; exits 1 above the budget.
//
//   bun bench/route.bench.ts [rounds] [decisions a round]

import { seededRandom } from "../src/base/random.ts";
import type { Fleet } from "../src/fleet/fleet.ts";
import { createFleet } from "../src/fleet/fleet.ts";
import type { BalancerName } from "../src/routing/balancers/balancers.ts";
import { balancerNames, balancers } from "../src/routing/balancers/balancers.ts";
import type { RoutingRequest } from "../src/routing/request.ts";
import { route } from "../src/routing/route.ts";

const budgetUs = 0.5;
const rounds = Number(process.argv[2] ?? 15);
const decisions = Number(process.argv[3] ?? 100_000);

const now = 1_000_000;
const random = seededRandom(1);

const slots = 64;

/** Somebody is on every endpoint, so that pressures differ. */
function makeBusy(fleet: Fleet): Fleet {
  for (const endpoint of fleet.local) {
    endpoint.setHealth("ok", now);
    endpoint.setGauges({ running: 3, waiting: 0, kvUsage: 0.2 }, now);
  }
  for (const endpoint of fleet.endpoints) {
    for (let call = 0; call < 20; call += 1) {
      endpoint.begin("m", true, fleet.nextPick(), now);
      const outcome = { kind: "ok", model: "m", stream: true, firstByteMs: 9, totalMs: 90 } as const;
      if (call > random() * 10) endpoint.end(outcome, now, random);
    }
  }
  return fleet;
}

const localFleet = (engines: number): Fleet =>
  createFleet(
    Array.from({ length: engines }, (_, index) => ({
      spec: { tier: "gold", locality: "local", name: `here/vllm-${index}`, slots, queueLimit: slots },
      identity: `${index}`,
      models: ["m"],
    })),
    { name: "here", zone: "a" },
  );

/** Fifteen peers of two engines each, half of them in this host's zone; whatever can be done here is being done. */
function fleetOfPeers(): Fleet {
  const fleet = localFleet(2);
  const load = { at: 1, inflight: 3, waiting: 0, kvPercent: 20, firstByteMs: 9 };
  for (let index = 0; index < 15; index += 1) {
    const engine = { tier: "gold", models: ["m"], slots: 4096, state: "ok", load } as const;
    const advert = {
      public: `http://10.0.0.${index}:8010`,
      zone: index % 2 === 0 ? "a" : "b",
      draining: false,
      upMs: 1e6,
      intents: undefined,
      engines: [
        { ...engine, name: "vllm" },
        { ...engine, name: "vllm-2" },
      ],
    };
    fleet.setPeer({ name: `peer-${index}`, boot: "1", state: "alive", advert, advertAt: now }, now);
  }
  makeBusy(fleet);
  for (const endpoint of fleet.local)
    while (endpoint.inflight < slots) endpoint.begin("m", true, fleet.nextPick(), now);
  return fleet;
}

interface Scene {
  readonly what: string;
  readonly fleet: Fleet;
  readonly balancer: BalancerName;
  readonly session?: string;
}

const crowd = makeBusy(localFleet(32));
const peers = fleetOfPeers();
const scenes: readonly Scene[] = [
  ...balancerNames.map((balancer) => ({ what: `32 here, ${balancer}`, fleet: crowd, balancer })),
  { what: "1 here", fleet: makeBusy(localFleet(1)), balancer: "least-pressure" },
  { what: "2 here, full, and 30 behind peers", fleet: peers, balancer: "least-pressure" },
  { what: "the same, for a session", fleet: peers, balancer: "least-pressure", session: "player-17" },
];

/** Microseconds a decision. */
function round({ fleet, balancer, session }: Scene): number {
  const request: RoutingRequest = {
    sla: "realtime",
    ladder: [{ tier: "gold", balance: balancers[balancer] }],
    model: undefined,
    stream: true,
    deadline: now + 2000,
    session,
  };
  let tries = 0;
  const began = performance.now();
  for (let turn = 0; turn < decisions; turn += 1) {
    if (route(request, fleet, [], now, random).do === "try") tries += 1;
  }
  const us = ((performance.now() - began) / decisions) * 1000;
  if (tries !== decisions) throw new Error("a decision of the benchmark was not what it measures");
  return us;
}

for (const scene of scenes) {
  round(scene);
  const measured = Array.from({ length: rounds }, () => round(scene)).sort((a, b) => a - b);
  const medianUs = measured[measured.length >> 1] ?? Number.NaN;
  // A session looks at every peer with room for its own, so the budget of a decision is not its.
  const judged = scene.session === undefined;
  const verdict = !judged ? "outside" : medianUs <= budgetUs ? "within" : "ABOVE";
  console.log(
    `${scene.what.padEnd(33)} ${medianUs.toFixed(3)} µs, ${verdict} the budget of ${budgetUs} µs (rounds: ${measured.map((us) => us.toFixed(2)).join(" ")})`,
  );
  if (judged && medianUs > budgetUs) process.exitCode = 1;
}
