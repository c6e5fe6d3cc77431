// What a router answers about its fleet, as `tierline status` and `top` check it, and how they ask.

import { z } from "zod";
import type { Ask, RouterAnswer } from "./ask-router.ts";
import { withRouter } from "./ask-router.ts";
import { figures } from "./cache-answers.ts";
import type { ExitCode, Given, Io } from "./command.ts";
import { exit, printJson } from "./command.ts";
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
  /** Undefined: this host has no async lane. */
  jobs: laneAnswer.optional(),
  members: z.array(member),
});
export type FleetAnswer = z.output<typeof fleetAnswer>;

/** All that is known at one moment. */
export interface Look {
  readonly fleet: FleetAnswer;
  readonly caches: z.output<typeof figures>;
}

export async function look(ask: Ask): Promise<RouterAnswer<Look>> {
  const [members, caches] = await Promise.all([
    ask({ method: "GET", path: "/api/fleet", answer: fleetAnswer }),
    ask({ method: "GET", path: "/api/cache/stats", answer: figures }),
  ]);
  if (!members.ok) return members;
  if (!caches.ok) return caches;
  const { raw } = members;
  return {
    ok: true,
    value: { fleet: members.value, caches: caches.value },
    raw: { ...(typeof raw === "object" ? raw : {}), caches: caches.raw },
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
