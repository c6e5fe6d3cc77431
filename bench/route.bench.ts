// One decision over 32 endpoints: `route()` must cost at most 0.5 µs, or routing would show in a 16 ms budget.
// Prints the median of the rounds and each round; exits 1 above the budget.
//
//   bun bench/route.bench.ts [rounds] [decisions a round]

import { seededRandom } from "../src/base/random.ts";
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

/** As a fleet is at noon: one gold rung of 32 with a word about each, and somebody on every one of them. */
function busyFleet() {
  const spec = { tier: "gold", locality: "local", slots: 64, queueLimit: 64 } as const;
  const fleet = createFleet(
    Array.from({ length: 32 }, (_, index) => ({
      spec: { ...spec, name: `host-${index}/vllm` },
      identity: `host-${index}`,
      models: ["m"],
    })),
  );
  for (const endpoint of fleet.endpoints) {
    endpoint.setHealth("ok", now);
    endpoint.setGauges({ running: 3, waiting: 0, kvUsage: 0.2 }, now);
    for (let call = 0; call < 20; call += 1) {
      endpoint.begin("m", true, fleet.nextPick(), now);
      const outcome = { kind: "ok", model: "m", stream: true, firstByteMs: 9, totalMs: 90 } as const;
      // Some stay in flight, so that pressures differ.
      if (call > random() * 10) endpoint.end(outcome, now, random);
    }
  }
  return fleet;
}

const fleet = busyFleet();

/** Microseconds a decision. */
function round(name: BalancerName): number {
  const request: RoutingRequest = {
    sla: "realtime",
    ladder: [{ tier: "gold", balance: balancers[name] }],
    model: undefined,
    stream: true,
    deadline: now + 2000,
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

for (const name of balancerNames) {
  round(name);
  const measured = Array.from({ length: rounds }, () => round(name)).sort((a, b) => a - b);
  const medianUs = measured[measured.length >> 1] ?? Number.NaN;
  const verdict = medianUs <= budgetUs ? "within" : "ABOVE";
  console.log(
    `${name.padEnd(15)} ${medianUs.toFixed(3)} µs, ${verdict} the budget of ${budgetUs} µs (rounds: ${measured.map((us) => us.toFixed(2)).join(" ")})`,
  );
  if (medianUs > budgetUs) process.exitCode = 1;
}
