// Health, as three askers see it: a process supervisor (/livez), a load balancer (/readyz), an operator (/health).

import type { Env, Hono } from "hono";
import { tiers } from "../fleet/endpoint.ts";
import { available, poolOf } from "../fleet/fleet.ts";
import type { Door, DoorLane, JobsHealth } from "./door.ts";

const healthRule = { degradedAbove: 0.9 } as const;

const comeBack = { "retry-after": "1" };

const json = { "content-type": "application/json;charset=utf-8" };

const plain = { "content-type": "text/plain; charset=utf-8" };

const live = (): Response => new Response("ok\n", { headers: plain });

export function ready({ lifecycle, strain }: Pick<Door, "lifecycle" | "strain">): Response {
  const { phase } = lifecycle;
  const why = phase !== "ready" ? phase : strain.shedding && `short of ${strain.shedding}`;
  if (why === undefined) return live();
  return new Response(`${why}\n`, { status: 503, headers: { ...plain, ...comeBack } });
}

export interface LaneHealth {
  readonly lane?: Pick<DoorLane, "health"> | undefined;
}

/** Its own engines only: each host answers for itself, so that no host is counted by all. */
export function health({
  lifecycle,
  fleet,
  cluster,
  clock,
  lane,
  strain,
}: Pick<Door, "lifecycle" | "fleet" | "cluster" | "clock" | "strain"> & LaneHealth): Response {
  const now = clock.now();
  const pool = rounded(poolOf(fleet.local));
  const byTier = Object.fromEntries(
    tiers.flatMap((tier) => {
      const endpoints = fleet.places(tier).local;
      if (endpoints.length === 0) return [];
      const open = endpoints.filter((endpoint) => available(endpoint, now)).length;
      return [[tier, { available: open, endpoints: endpoints.length, ...rounded(poolOf(endpoints)) }]];
    }),
  );
  const shortOf = strain.shedding;
  const degraded = pool.utilization > healthRule.degradedAbove || shortOf !== undefined;
  const status = lifecycle.phase !== "ready" ? lifecycle.phase : degraded ? "degraded" : "ok";
  // However the async lane is, it keeps nobody from being answered, and so degrades nothing.
  const jobs = lane && { jobs: jobsHealthRow(lane.health()) };
  const scarce = shortOf && { short_of: shortOf };
  const body = { status, pool, tiers: byTier, members: cluster.counts(), ...scarce, ...jobs };
  // Its asker is often curl in a terminal, where the prompt should not stand behind it.
  return new Response(`${JSON.stringify(body)}\n`, {
    status: status === "ok" ? 200 : 503,
    headers: { ...json, ...(status === "ok" ? {} : comeBack) },
  });
}

function rounded(pool: ReturnType<typeof poolOf>): ReturnType<typeof poolOf> {
  return { ...pool, utilization: Math.round(pool.utilization * 10_000) / 10_000 };
}

/** Also in GET /api/fleet. */
export const jobsHealthRow = ({ runner, byStatus, oldestSeconds, storeTrouble, endpoint }: JobsHealth) => ({
  runner,
  queued: byStatus.queued,
  running: byStatus.running,
  oldest_seconds: oldestSeconds,
  store: storeTrouble ?? "ok",
  ...(endpoint !== undefined && { endpoint }),
});

const answers: Readonly<Record<string, (door: Door) => Response>> = {
  "/livez": live,
  "/healthz": live,
  "/readyz": ready,
  "/health": health,
};

export const healthPaths = Object.keys(answers);

export function addHealth<E extends Env>(app: Hono<E>, door: Door): void {
  for (const [path, answer] of Object.entries(answers)) app.get(path, () => answer(door));
}
