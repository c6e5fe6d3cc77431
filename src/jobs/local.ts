// The runner that needs no AWS: jobs run on this fleet, at the engines' lowest priority, only where hardly anybody is, and
// make room at once. It is an ordinary caller of dispatch that everybody else goes before.

import { asBuffer } from "../base/as-buffer.ts";
import type { Clock } from "../base/clock.ts";
import { Departure, whenLeft } from "../base/departure.ts";
import { isRecord } from "../base/is-record.ts";
import { parseJson } from "../base/parse-json.ts";
import type { Dispatch } from "../dispatch/dispatch.ts";
import type { Answer, Dispatched } from "../dispatch/dispatched.ts";
import type { InferenceRequest } from "../dispatch/inference-request.ts";
import { BrokenAnswer } from "../dispatch/relay.ts";
import { isWholeAnswer } from "../dispatch/whole-answer.ts";
import { readErrorBody } from "../engines/openai-wire.ts";
import type { EndpointState } from "../fleet/endpoint-state.ts";
import type { FleetView } from "../fleet/fleet.ts";
import type { RoutingPolicy } from "../routing/sla.ts";
import { resolveAsked } from "../routing/sla.ts";
import { createFailureCounts } from "./failure-counts.ts";
import type { JobToDo } from "./job.ts";
import { inferencePathOf } from "./job.ts";
import { jobTraceparent } from "./job-id.ts";
import type { Guest, PlayersFirst } from "./players-first.ts";
import type { Again, Ended, HandedJob, JobRunner, Submitted } from "./runner.ts";
import { failed } from "./runner.ts";
import { spareIn, spareRule } from "./spare.ts";
import { unstreamed } from "./unstreamed.ts";

export const localRule = {
  /** Where nothing is spare: how long to leave it. A look costs nothing. */
  busyMs: 250,
  /** After a failure that may be the engine's: longer than a breaker needs to notice. */
  failedMs: 2_000,
  /** A job that fails so often, on engines that do other work, fails by itself. */
  failuresMost: 5,
  /** As many as may usually be queued. Whose count is forgotten for others fails later. */
  failingJobsMost: 10_000,
  /** An answer is text: a model writes for hours until it is so long. Several may be in memory at once. */
  resultBytesMost: 2 * 1024 * 1024,
} as const;

export interface LocalRunner extends JobRunner {
  /** Times that a job made room. */
  yields(): number;
}

export interface LocalParts {
  /** Without a result cache: a job is asked for once, and its result is kept in its row. */
  readonly dispatch: Dispatch;
  readonly playersFirst: PlayersFirst;
  readonly fleet: FleetView;
  policy(): RoutingPolicy;
  readonly clock: Clock;
}

export function createLocalRunner({ dispatch, playersFirst, fleet, policy, clock }: LocalParts): LocalRunner {
  /** Where the engine may be at fault. A job that ends while it waits here is not heard of again. */
  const failures = createFailureCounts(localRule.failingJobsMost);
  let yields = 0;

  const left = (madeRoom: boolean): Again => {
    if (madeRoom) yields += 1;
    return {
      kind: "again",
      about: madeRoom ? "room" : "job",
      afterMs: madeRoom ? localRule.busyMs : 0,
      why: madeRoom ? "It made room for others." : "It was cut short.",
    };
  };

  const failedThere = (job: JobToDo, why: string): Again | Ended => {
    const times = failures.count(job.id);
    if (times < localRule.failuresMost) {
      // The engine's breaker knows when it is the engine: then it gets no more of them.
      return { kind: "again", afterMs: localRule.failedMs, why, about: "job" };
    }
    return failed(`It failed ${times} times. ${why}`);
  };

  const outcomeOf = async (
    job: JobToDo,
    run: Guest,
    departure: Departure,
    done: Dispatched,
  ): Promise<Submitted> => {
    switch (done.kind) {
      case "answer": {
        const body = await wholeBody(done, departure);
        if (body === undefined) {
          return departure.aborted ? left(run.sentAway) : failedThere(job, "Its answer broke off.");
        }
        if (body.byteLength > localRule.resultBytesMost) {
          return failed(
            `The answer is longer than ${localRule.resultBytesMost} bytes, which is what is kept.`,
          );
        }
        if (done.status !== 200) return failed(refusedWith(done.status, body));
        if (!isWholeAnswer(inferencePathOf[job.kind], body)) {
          return failedThere(job, "The engine answered 200 with no completion, or half of one.");
        }
        return { kind: "done", result: body };
      }
      case "refusal":
        // Its own engines may have been tried, or none had room: the one counts against it, the other does not.
        if (done.code === "upstream_failed") return failedThere(job, done.message);
        // Its slot there was wanted by somebody who goes before, which its router alone knows in time.
        if (done.code === "tier_overloaded" && run.at?.peer !== undefined) return left(true);
        // Others may want another model or another tier: whether nobody has room at all is for `busyMs` to say.
        return {
          kind: "again",
          about: "job",
          afterMs: done.retryAfterMs ?? localRule.busyMs,
          why: done.message,
        };
      case "gone":
        return left(run.sentAway);
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
      const departure = new Departure();
      const leave = (): void => departure.abort();
      const forget = whenLeft(signal, leave);
      const run = playersFirst.enter(leave);
      try {
        const request = requestFor(job, policy(), clock, (endpoint) => {
          run.at = endpoint;
          began?.();
        });
        const outcome = await outcomeOf(job, run, departure, await dispatch(request, departure));
        // Cut short, it has ended elsewhere.
        if (outcome.kind !== "again" || signal.aborted) failures.forget(job.id);
        return outcome;
      } finally {
        run.over();
        forget();
      }
    },

    // What ran here ended with the call that ran it.
    look: () => Promise.resolve({ kind: "absent" }),

    yields: () => yields,
  };
}

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
  const forget = whenLeft(departure, () => body.cancel("caller"));
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
    forget();
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
  // A job has the lowest priority, whatever its request asks for.
  const body = unstreamed(job.request, ["priority"]);
  const given = readObject(body)["model"];
  const modelName = typeof given === "string" ? given : undefined;
  const asked = resolveAsked(policy, "interactive", modelName === "" ? undefined : modelName);
  const now = clock.now();
  return {
    id: job.id,
    path: inferencePathOf[job.kind],
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

/** The door has seen that it is one. */
function readObject(body: Uint8Array): Readonly<Record<string, unknown>> {
  const root = parseJson(asBuffer(body).toString("utf8"));
  return isRecord(root) ? root : {};
}
