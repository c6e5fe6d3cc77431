// What a router answers about its fleet, as `tierline status` and `top` check it, and how they ask.

import { z } from "zod";
import type { Ask, RouterAnswer } from "./ask-router.ts";
import { withRouter } from "./ask-router.ts";
import { figures } from "./cache-answers.ts";
import type { ExitCode, Given, Io } from "./command.ts";
import { exit, printJson } from "./command.ts";
import type { LaneAnswer } from "./job-answers.ts";
import { laneAnswer } from "./job-answers.ts";

const ms = z.number().nullable();

const endpoint = z.looseObject({
  name: z.string(),
  tier: z.string(),
  locality: z.string(),
  slots: z.number(),
  inflight: z.number(),
  waiting: z.number(),
  pressure: z.number(),
  state: z.string(),
  there: z.string().nullable(),
  breaker: z.string(),
  calls: z.number(),
  first_byte_p50_ms: ms,
  first_byte_p99_ms: ms,
  whole_p50_ms: ms,
  whole_p99_ms: ms,
  said_p50_ms: ms,
});
export type Endpoint = z.output<typeof endpoint>;

const member = z.looseObject({
  name: z.string(),
  state: z.enum(["alive", "suspect", "dead", "left"]),
  draining: z.boolean(),
  public: z.string().nullable(),
  state_age_ms: ms,
  accused: z.looseObject({ by: z.string(), why: z.string() }).nullable(),
  intents: z.looseObject({ epoch: z.number(), same_epoch: z.boolean() }).nullable(),
  tiers: z.array(z.string()),
  endpoints: z.array(endpoint),
});
export type Member = z.output<typeof member>;

export const fleetAnswer = z.looseObject({
  self: z.string(),
  phase: z.string(),
  panic: z.boolean(),
  members: z.array(member),
});
export type FleetAnswer = z.output<typeof fleetAnswer>;

/** All that is known at one moment. */
export interface Look {
  readonly fleet: FleetAnswer;
  readonly caches: z.output<typeof figures>;
  /** Undefined: this host has no async lane. */
  readonly lane: LaneAnswer | undefined;
}

export async function look(ask: Ask): Promise<RouterAnswer<Look>> {
  const [members, caches, lane] = await Promise.all([
    ask({ method: "GET", path: "/api/fleet", answer: fleetAnswer }),
    ask({ method: "GET", path: "/api/cache/stats", answer: figures }),
    ask({ method: "GET", path: "/api/lane", answer: laneAnswer }),
  ]);
  if (!members.ok) return members;
  if (!caches.ok) return caches;
  const { raw } = members;
  return {
    ok: true,
    // Where there is no lane there is nothing at its address.
    value: { fleet: members.value, caches: caches.value, lane: lane.ok ? lane.value : undefined },
    raw: {
      ...(typeof raw === "object" ? raw : {}),
      caches: caches.raw,
      ...(lane.ok && { lane: lane.raw }),
    },
  };
}

/** Shows what is known now, as it came or by `show`, or says why nothing is. */
export const withLook = (
  given: Given,
  io: Io,
  show: (seen: Look, ask: Ask) => Promise<void>,
): Promise<ExitCode> =>
  withRouter(given, io, async (ask) => {
    const seen = await look(ask);
    if (!seen.ok) {
      io.err(`${seen.why}.\n`);
      return exit.failed;
    }
    if (given.has("json")) printJson(io, seen.raw);
    else await show(seen.value, ask);
    return exit.ok;
  });
