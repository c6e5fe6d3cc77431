// What becomes of a request for inference that routing has deferred: a job for whoever takes one in the place of an answer,
// and for all others an answer, if it comes in time.

import type { Leaving } from "../base/departure.ts";
import { Departure, whenLeft } from "../base/departure.ts";
import type { ErrorCode } from "../base/error-codes.ts";
import { isErrorCode } from "../base/error-codes.ts";
import type { Dispatched } from "../dispatch/dispatched.ts";
import type { InferenceRequest } from "../dispatch/inference-request.ts";
import type { InferencePath } from "../engines/dialect.ts";
import type { SeenJob } from "../jobs/desk.ts";
import { deskRule } from "../jobs/desk.ts";
import type { JobKind } from "../jobs/job.ts";
import { inferencePathOf, isEnd, jobKinds } from "../jobs/job.ts";
import { isAbsent } from "../routing/models.ts";
import type { Asked } from "../routing/sla.ts";
import type { Caller } from "./callers.ts";
import { forbids } from "./callers.ts";
import { closed } from "./closed.ts";
import type { Door } from "./door.ts";
import { errorResponse } from "./errors.ts";
import {
  orderAround,
  orderedResponse,
  ownerUnreachable,
  refusalIn,
  refusedElsewhere,
} from "./job-elsewhere.ts";
import { jobResponse } from "./job-shape.ts";
import { prefersAsync, readIdempotencyKey } from "./request-headers.ts";

const kindOf = (path: InferencePath): JobKind | undefined =>
  jobKinds.find((kind) => inferencePathOf[kind] === path);

/** Whether a job will do in the place of an answer. Of a key that may not have jobs the preference is no more than that. */
export const prefersJob = (headers: Headers, key: Caller | undefined): boolean =>
  prefersAsync(headers.get("prefer")) && forbids(key, "async") === undefined;

export interface LaneAsk extends Asked {
  readonly path: InferencePath;
  readonly stream: boolean;
  readonly bodyBytes: number;
}

/** As `RoutingRequest.laneMs`. */
export function laneMsFor(
  request: LaneAsk,
  prefers: boolean,
  { desk, fleet }: Pick<Door, "desk" | "fleet">,
): number | undefined {
  const { model, path, bodyBytes } = request;
  if (!desk.takes(model) || kindOf(path) === undefined) return undefined;
  // Who could be served elsewhere is not told of the lane's limits; who wants nothing but the lane is.
  const wantsLane = request.sla === "async" || (model !== undefined && isAbsent(fleet, model));
  if (bodyBytes > desk.requestBytesMost && !wantsLane) return undefined;
  if (request.sla === "async" || prefers) return 0;
  return request.stream ? undefined : desk.typicalMs();
}

/** What a caller is told who gets no engine's answer. */
export interface Told {
  readonly response: Response;
  /** Undefined: it is no refusal, or nobody is left to read it. */
  readonly code?: ErrorCode | undefined;
}

export async function inLane(
  request: InferenceRequest,
  { journey }: Extract<Dispatched, { kind: "defer" }>,
  headers: Headers,
  key: Caller | undefined,
  door: Pick<Door, "desk" | "clock" | "random" | "askMember" | "lifecycle">,
  callerLeft: Leaving,
): Promise<Told> {
  const { desk, clock, lifecycle } = door;
  const kind = kindOf(request.path);
  if (kind === undefined) throw new Error("deferred, and there is no lane for it");
  // Nothing is accepted for somebody who will not hear of it.
  if (callerLeft.aborted) return { response: new Response(null, { status: 499 }) };
  const headersHere = {
    "x-tierline-tier": "bronze",
    "x-tierline-because": journey.because,
    "x-tierline-attempts": String(journey.tried.length),
  };
  const refuse = (code: ErrorCode, message: string, retryAfterMs?: number): Told => ({
    response: errorResponse(code, message, { retryAfterMs, headers: headersHere }),
    code,
  });
  const prefers = prefersJob(headers, key);
  const isJob = request.sla === "async" || prefers;
  // A job outlives this process; who waits for its answer here would not have it.
  if (!isJob && lifecycle.ending) return ended(headersHere);
  const idempotencyKey = isJob ? readIdempotencyKey(headers.get("idempotency-key")) : undefined;
  if (typeof idempotencyKey === "object") return refuse(idempotencyKey.code, idempotencyKey.message);
  const { caller, model, modelName, body, reuse, deadline } = request;
  const order = {
    caller,
    kind,
    model,
    modelName,
    request: body,
    ttlMs: isJob ? deskRule.ttlMsUsual : Math.max(1, Math.ceil(deadline - clock.now())),
    idempotencyKey,
    reuse,
  };
  const ordered = await desk.order(order);
  if (ordered.kind === "refused") return refuse(ordered.code, ordered.message, ordered.retryAfterMs);
  const applied = prefers ? { "preference-applied": "respond-async" } : {};
  if (ordered.kind === "elsewhere") {
    const asked = { callerLeft, leftMs: deadline - clock.now() };
    const reached = await orderAround(ordered, order, asked, door);
    const code = refusalIn(reached);
    const told = code === undefined ? { ...headersHere, ...applied } : headersHere;
    return { response: orderedResponse(reached, ordered.id, told), code };
  }
  const cache = ordered.kind === "known-result" ? "hit" : reuse === undefined ? "off" : "miss";
  const told = { ...headersHere, "x-tierline-cache": cache };
  if (isJob) {
    return { response: jobResponse(ordered, { ...told, ...applied }) };
  }

  const { id } = ordered.job;
  const waitOver = new Departure();
  const endWait = (): void => waitOver.abort();
  const forgetCaller = whenLeft(callerLeft, endWait);
  const forgetEnd = lifecycle.onEnding(endWait);
  const seen = await desk.wait(id, caller, deadline - clock.now(), waitOver);
  forgetCaller();
  forgetEnd();
  if (seen.kind === "refused") return refuse(seen.code, seen.message, seen.retryAfterMs);
  if (seen.kind === "elsewhere") {
    const gone = ownerUnreachable(seen.member, "no answer about it came in time", door);
    return { response: refusedElsewhere(gone, id, headersHere), code: gone.code };
  }
  if (!isEnd(seen.job.state)) {
    // Nobody knows of it but this caller, who is gone, out of time or sent to another host.
    // Should the cancel fail, its ttl ends it: that is over as well.
    desk.cancel(id, caller).catch(() => undefined);
    if (callerLeft.aborted) return { response: new Response(null, { status: 499 }) };
    if (waitOver.aborted) return ended(headersHere);
    return refuse("deadline_exceeded", "The async lane, the last that could answer, did not answer in time.");
  }
  if (seen.result !== undefined) {
    const locality = desk.runner === "sagemaker" ? "cloud" : "local";
    return {
      response: new Response(seen.result, {
        headers: { "content-type": "application/json", ...told, "x-tierline-locality": locality },
      }),
    };
  }
  return refuse(codeOf(seen), seen.job.error?.message ?? "The job was cancelled before it was done.");
}

/** Another host can serve him, or waits for Bronze as long as it takes. */
const ended = (headers: Readonly<Record<string, string>>): Told => ({
  response: closed("draining", headers),
  code: "draining",
});

/** A runner's code that callers know; how it failed otherwise is between it and us. */
function codeOf({ job: { error, state } }: SeenJob): ErrorCode {
  if (state === "expired") return "deadline_exceeded";
  return error !== undefined && isErrorCode(error.code) ? error.code : "upstream_failed";
}
