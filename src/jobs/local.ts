// The runner that needs no AWS: jobs run on this fleet, at the engines' lowest priority, only where hardly anybody is, and
// make room at once. It is an ordinary caller of dispatch that everybody else goes before.

import { asBuffer } from "../base/as-buffer.ts";
import type { Clock } from "../base/clock.ts";
import { Departure } from "../base/departure.ts";
import { isRecord } from "../base/is-record.ts";
import { parseJson } from "../base/parse-json.ts";
import type { Random } from "../base/random.ts";
import type { Answer, Dispatch, Dispatched } from "../dispatch/dispatch.ts";
import type { InferenceRequest } from "../dispatch/inference-request.ts";
import { BrokenAnswer } from "../dispatch/relay.ts";
import { isWholeAnswer } from "../dispatch/whole-answer.ts";
import { readErrorBody } from "../engines/openai-wire.ts";
import type { Tier } from "../fleet/endpoint.ts";
import type { EndpointState } from "../fleet/endpoint-state.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { route } from "../routing/route.ts";
import type { RoutingPolicy } from "../routing/sla.ts";
import { resolveAsked } from "../routing/sla.ts";
import type { JobToDo } from "./job.ts";
import { pathOf } from "./job.ts";
import { jobTraceparent } from "./job-id.ts";
import type { Again, Ended, HandedJob, JobRunner, Submitted } from "./runner.ts";
import { failed } from "./runner.ts";
import { spareIn, spareRule, yieldAt } from "./spare.ts";
import { unstreamed } from "./unstreamed.ts";

export const localRule = {
  /** Where nothing is spare: how long to leave it. A look costs nothing. */
  busyMs: 250,
  /** How often jobs that run are held against what others need: what peers and engines say of themselves comes by itself. */
  watchMs: 250,
  /** After a failure that may be the engine's: longer than a breaker needs to notice. */
  failedMs: 2_000,
  /** A job that fails so often, on engines that do other work, fails by itself. */
  failuresMost: 5,
  /** An answer is text: a model writes for hours until it is so long. Several may be in memory at once. */
  resultBytesMost: 2 * 1024 * 1024,
} as const;

export interface LocalRunner extends JobRunner {
  /** Dispatch for everybody else: jobs leave before a request looks for a slot, so that it finds one. */
  playersFirst(dispatch: Dispatch): Dispatch;
  /** Times that a job made room. */
  yields(): number;
}

export interface LocalParts {
  /** Without a result cache: a job is asked for once, and its result is kept in its row. */
  readonly dispatch: Dispatch;
  readonly fleet: Fleet;
  policy(): RoutingPolicy;
  readonly clock: Clock;
  readonly random: Random;
}

interface Run {
  readonly departure: Departure;
  /** Where it holds a slot; undefined: nowhere yet, or no longer. */
  at: EndpointState | undefined;
  yielded: boolean;
  /** It holds nothing any more. */
  readonly over: Promise<void>;
}

export function createLocalRunner({ dispatch, fleet, policy, clock, random }: LocalParts): LocalRunner {
  /** The newest last: it has the least to lose. As many as the lane hands over at once. */
  const runs = new Set<Run>();
  /** By job: how often it failed where the engine may be at fault. No longer than there are unfinished jobs. */
  const failures = new Map<string, number>();
  let yields = 0;
  let stopWatch: (() => void) | undefined;

  /** Sends jobs away, the newest first, from where somebody arrives or too much is going on. Answers which. */
  const makeRoom = (arrives: (endpoint: EndpointState) => boolean): Run[] => {
    const now = clock.now();
    const leaving: Run[] = [];
    for (const [endpoint, own] of Map.groupBy(runs, ({ at }) => at)) {
      if (endpoint === undefined) continue;
      const many = yieldAt(endpoint, own.length, arrives(endpoint) ? 1 : 0, now);
      leaving.push(...own.slice(own.length - many));
    }
    for (const run of leaving) {
      run.yielded = true;
      run.at = undefined;
      yields += 1;
      run.departure.abort();
    }
    return leaving;
  };

  /** Tiers this request prefers to the one it would get now. A full engine there is full of jobs, which must go. */
  const missed = (request: InferenceRequest): readonly Tier[] => {
    const tiers = request.ladder.map(({ tier }) => tier);
    const decision = route(request, fleet, [], clock.now(), random);
    if (!("endpoint" in decision)) return tiers;
    const { spec, peer } = decision.endpoint;
    const isHere = decision.do === "try" && peer === undefined;
    return tiers.slice(0, tiers.indexOf(spec.tier) + (isHere ? 0 : 1));
  };

  const watch = (): void => {
    makeRoom(() => false);
    stopWatch = runs.size === 0 ? undefined : clock.after(localRule.watchMs, watch);
  };

  const failedThere = (job: JobToDo, why: string): Again | Ended => {
    const times = (failures.get(job.id) ?? 0) + 1;
    if (times < localRule.failuresMost) {
      failures.set(job.id, times);
      // The engine's breaker knows when it is the engine: then it gets no more of them.
      return { kind: "again", afterMs: localRule.failedMs, why, about: "job" };
    }
    failures.delete(job.id);
    return failed(`It failed ${times} times. ${why}`);
  };

  const outcomeOf = async (job: JobToDo, run: Run, done: Dispatched): Promise<Submitted> => {
    switch (done.kind) {
      case "answer": {
        const body = await wholeBody(done, run.departure);
        if (body === undefined) {
          return run.departure.aborted ? leftBecause(run) : failedThere(job, "Its answer broke off.");
        }
        if (body.byteLength > localRule.resultBytesMost) {
          return failed(
            `The answer is longer than ${localRule.resultBytesMost} bytes, which is what is kept.`,
          );
        }
        if (done.status !== 200) return failed(refusedWith(done.status, body));
        if (!isWholeAnswer(pathOf[job.kind], body)) {
          return failedThere(job, "The engine answered 200 with no completion, or half of one.");
        }
        failures.delete(job.id);
        return { kind: "done", result: body };
      }
      case "refusal":
        // Its own engines may have been tried, or none had room: the one counts against it, the other does not.
        if (done.code === "upstream_failed") return failedThere(job, done.message);
        // Others may want another model or another tier: whether nobody has room at all is for `busyMs` to say.
        return {
          kind: "again",
          about: "job",
          afterMs: done.retryAfterMs ?? localRule.busyMs,
          why: done.message,
        };
      case "gone":
        return leftBecause(run);
      case "defer":
        throw new Error("a job was deferred to the lane that it came from");
    }
  };

  return {
    name: "local",
    outlives: false,
    marginMs: 0,
    busyMs: () => (spareIn(fleet, clock.now()) > 0 ? undefined : localRule.busyMs),
    outputKey: ({ id }) => `local/${id}`,

    async submit(job, signal, began) {
      const { promise: over, resolve: end } = Promise.withResolvers<void>();
      const run: Run = { departure: new Departure(), at: undefined, yielded: false, over };
      const leave = (): void => run.departure.abort();
      signal.addEventListener("abort", leave);
      if (signal.aborted) leave();
      runs.add(run);
      stopWatch ??= clock.after(localRule.watchMs, watch);
      try {
        const request = requestFor(job, policy(), clock, (endpoint) => {
          run.at = endpoint;
          began?.();
        });
        return await outcomeOf(job, run, await dispatch(request, run.departure));
      } finally {
        end();
        runs.delete(run);
        signal.removeEventListener("abort", leave);
        if (runs.size === 0) {
          stopWatch?.();
          stopWatch = undefined;
        }
      }
    },

    // What ran here ended with the call that ran it.
    look: () => Promise.resolve({ kind: "absent" }),

    playersFirst: (onward) => (request, callerLeft) => {
      if (runs.size === 0) return onward(request, callerLeft);
      const tiers = missed(request);
      const leaving = makeRoom(({ spec }) => tiers.includes(spec.tier));
      if (leaving.length === 0) return onward(request, callerLeft);
      // A slot is free when its call is over, which takes some turns of the queue of promises and no time.
      return Promise.all(leaving.map(({ over }) => over)).then(() => onward(request, callerLeft));
    },
    yields: () => yields,
  };
}

const leftBecause = ({ yielded }: Run): Again => ({
  kind: "again",
  about: yielded ? "room" : "job",
  afterMs: yielded ? localRule.busyMs : 0,
  why: yielded ? "It made room for others." : "It was cut short.",
});

function refusedWith(status: number, body: Uint8Array): string {
  const said = readErrorBody(status, Buffer.from(body).toString("utf8"))?.message;
  return `The engine refused the request with ${status}${said === undefined ? "." : `: ${said}`}`;
}

/** Undefined: it broke off. Of one that is too long, a little more than is kept. */
async function wholeBody({ body }: Answer, departure: Departure): Promise<Uint8Array | undefined> {
  if (body instanceof Uint8Array) return body;
  const parts: Uint8Array[] = [];
  let bytes = 0;
  // Dispatch has let go of what is relayed.
  const leave = (): void => body.cancel("caller");
  departure.addEventListener("abort", leave);
  if (departure.aborted) leave();
  try {
    for (let part = await body.next(); part !== null; part = await body.next()) {
      parts.push(part);
      bytes += part.byteLength;
      if (bytes > localRule.resultBytesMost) {
        body.cancel("caller");
        break;
      }
    }
  } catch (error) {
    if (error instanceof BrokenAnswer) return undefined;
    throw error;
  } finally {
    departure.removeEventListener("abort", leave);
  }
  return Buffer.concat(parts);
}

/** Who names no model, or a tier that has no engines, gets what the interactive ladder has. */
function requestFor(
  job: HandedJob,
  policy: RoutingPolicy,
  clock: Clock,
  taken: (endpoint: EndpointState) => void,
): InferenceRequest {
  const body = withoutPriority(unstreamed(job.request));
  const given = readObject(body)["model"];
  const modelName = typeof given === "string" ? given : undefined;
  const asked = resolveAsked(policy, "interactive", modelName === "" ? undefined : modelName);
  const now = clock.now();
  return {
    id: job.id,
    path: pathOf[job.kind],
    caller: job.owner ?? undefined,
    body,
    modelName,
    hasPriority: false,
    headers: [
      ["x-request-id", job.id],
      ["traceparent", jobTraceparent(job)],
      ["accept-encoding", "identity"],
      ["content-type", "application/json"],
    ],
    // The engine's own queue has players first as well.
    sla: "async",
    ladder: asked.ladder.filter(({ tier }) => tier !== "bronze"),
    model: asked.model,
    stream: false,
    receivedAt: now,
    // Whatever its ttl leaves it; the lane ends it then.
    deadline: now + job.leftMs,
    firstByteMs: job.ttlMs,
    pressureBelow: spareRule.pressureBelow,
    taken,
  };
}

/** A job has the lowest priority, whatever its request asks for. Where it asks for nothing its bytes stay as they are. */
function withoutPriority(body: Uint8Array): Uint8Array {
  const { priority, ...rest } = readObject(body);
  return priority === undefined ? body : Buffer.from(JSON.stringify(rest));
}

/** The door has seen that it is one. */
function readObject(body: Uint8Array): Readonly<Record<string, unknown>> {
  const root = parseJson(asBuffer(body).toString("utf8"));
  return isRecord(root) ? root : {};
}
