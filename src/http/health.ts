// Health, as three askers see it: a process supervisor (/livez), a load balancer (/readyz), an operator (/health).

import { tiers } from "../fleet/endpoint.ts";
import { available, poolOf } from "../fleet/fleet.ts";
import type { Door } from "./door.ts";

const healthRule = { degradedAbove: 0.9 } as const;

const comeBack = { "retry-after": "1" };

const plain = { "content-type": "text/plain; charset=utf-8" };

export const live = (): Response => new Response("ok\n", { headers: plain });

export function ready({ lifecycle }: Door): Response {
  if (lifecycle.phase === "ready") return live();
  return new Response(`${lifecycle.phase}\n`, { status: 503, headers: { ...plain, ...comeBack } });
}

export function health({ lifecycle, fleet, clock }: Door): Response {
  const now = clock.now();
  const pool = rounded(poolOf(fleet.endpoints));
  const present = tiers.filter((tier) => fleet.inTier(tier).length > 0);
  const byTier = Object.fromEntries(
    present.map((tier) => {
      const endpoints = fleet.inTier(tier);
      const open = endpoints.filter((endpoint) => available(endpoint, now)).length;
      return [tier, { available: open, endpoints: endpoints.length, ...rounded(poolOf(endpoints)) }];
    }),
  );
  const degraded = pool.utilization > healthRule.degradedAbove;
  const status = lifecycle.phase !== "ready" ? lifecycle.phase : degraded ? "degraded" : "ok";
  const body = { status, pool, tiers: byTier, members: { alive: 1, suspect: 0, dead: 0, left: 0 } };
  return Response.json(body, status === "ok" ? {} : { status: 503, headers: comeBack });
}

function rounded(pool: ReturnType<typeof poolOf>): ReturnType<typeof poolOf> {
  return { ...pool, utilization: Math.round(pool.utilization * 10_000) / 10_000 };
}
