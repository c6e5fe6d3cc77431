// The inference endpoints: from an HTTP request to one InferenceRequest, and from its answer to an HTTP response.

import type { Instant } from "../base/clock.ts";
import { Departure } from "../base/departure.ts";
import type { Answer, Dispatched } from "../dispatch/dispatch.ts";
import type { InferenceRequest } from "../dispatch/inference-request.ts";
import { reuseOf } from "../dispatch/reuse.ts";
import type { InferencePath } from "../engines/dialect.ts";
import { isAbsent } from "../routing/models.ts";
import { resolveAsked } from "../routing/sla.ts";
import { readBody, readFields } from "./body.ts";
import type { Door } from "./door.ts";
import type { BadRequest } from "./errors.ts";
import { errorResponse } from "./errors.ts";
import { modelNotFound } from "./models.ts";
import type { RelayEnd } from "./relay-body.ts";
import { relayBody } from "./relay-body.ts";
import type { Trace } from "./request-headers.ts";
import {
  onwardHeaders,
  readCacheControl,
  readDeadlineMs,
  readSla,
  relayedHeaders,
  requestIdOf,
  traceOf,
} from "./request-headers.ts";

/** Said with 503 while the router is not taking requests. */
const comeBackMs = 1000;

/** `caller`: the name of the key that came with it; undefined where none is asked for. */
export async function handleInference(
  path: InferencePath,
  raw: Request,
  caller: string | undefined,
  door: Door,
): Promise<Response> {
  const { clock, account, lifecycle } = door;
  const receivedAt = clock.now();
  const id = requestIdOf(raw.headers.get("x-request-id"));
  const trace = traceOf(raw.headers.get("traceparent"));
  const arrival: Arrival = { path, receivedAt, id, trace, caller };
  if (lifecycle.phase !== "ready") {
    account.rejected(lifecycle.phase);
    return labelled(closed(lifecycle.phase), arrival);
  }
  const leaving = new Departure();
  let isCut = false;
  const leave = (): void => leaving.abort();
  raw.signal.addEventListener("abort", leave);
  if (raw.signal.aborted) leave();
  let cut = (): void => {
    isCut = !leaving.aborted;
    leaving.abort();
  };
  const end = lifecycle.begin(() => cut());
  const done = (): void => {
    // A signal that is listened to outlives its request, until the next full collection.
    raw.signal.removeEventListener("abort", leave);
    end();
  };
  let handedOver = false;
  try {
    const request = await readRequest(raw, door, arrival);
    if ("code" in request) {
      account.rejected(request.code);
      return labelled(errorResponse(request.code, request.message, request), arrival);
    }
    const dispatched = await door.dispatch(request, leaving);
    const finish = (how: RelayEnd, status: number): void => {
      done();
      account.finished(request, dispatched, how, status);
    };
    if (dispatched.kind !== "answer") {
      const response = isCut ? closed("draining") : refusal(dispatched);
      finish(isCut ? "draining" : dispatched.kind === "refusal" ? dispatched.code : "left", response.status);
      response.headers.set("server-timing", timing(dispatched, receivedAt, clock.now()));
      return labelled(response, arrival);
    }

    const { status, body } = dispatched;
    const headers = answerHeaders(dispatched);
    headers["server-timing"] = timing(dispatched, receivedAt, clock.now());
    headers["x-request-id"] = id;
    headers["traceparent"] = trace.own;
    handedOver = true;
    if (body instanceof Uint8Array) {
      finish("complete", status);
      return new Response(body, { status, headers });
    }
    const events = headers["content-type"]?.startsWith("text/event-stream") ?? false;
    const relayed = relayBody(body, leaving, events, clock, (how) => finish(how, status));
    cut = relayed.cut;
    return new Response(relayed.stream, { status, headers });
  } finally {
    // A bug on the way must not leave the request among the active for ever.
    if (!handedOver) done();
  }
}

interface Arrival {
  readonly path: InferencePath;
  readonly receivedAt: Instant;
  readonly id: string;
  readonly trace: Trace;
  readonly caller: string | undefined;
}

function labelled(response: Response, { id, trace }: Arrival): Response {
  response.headers.set("x-request-id", id);
  response.headers.set("traceparent", trace.own);
  return response;
}

async function readRequest(
  raw: Request,
  door: Door,
  { path, receivedAt, id, trace, caller }: Arrival,
): Promise<InferenceRequest | (BadRequest & { headers?: Record<string, string> })> {
  const { policy, bodyLimitBytes } = door.settings();
  const deadlineMs = readDeadlineMs(raw.headers.get("x-tierline-deadline-ms"));
  if (typeof deadlineMs === "object") return deadlineMs;
  const sla = readSla(raw.headers.get("x-tierline-sla"));
  if (typeof sla === "object") return sla;
  const body = await readBody(raw, bodyLimitBytes, door.clock, deadlineMs ?? Number.POSITIVE_INFINITY);
  // What is left of the body is not worth reading, so the connection cannot be used again.
  if ("code" in body) return { ...body, headers: { connection: "close" } };
  const fields = readFields(body);
  if ("code" in fields) return fields;

  const asked = resolveAsked(policy, sla, fields.model === "" ? undefined : fields.model);
  if (asked.model !== undefined && isAbsent(door.fleet, asked.model)) return modelNotFound(asked.model, door);
  const rule = policy.sla[asked.sla];
  const totalMs = deadlineMs ?? rule.totalMs;
  return {
    id,
    path,
    caller,
    body,
    modelName: fields.model,
    hasPriority: fields.hasPriority,
    headers: onwardHeaders(raw.headers, id, trace),
    sla: asked.sla,
    ladder: asked.ladder,
    model: asked.model,
    stream: fields.stream,
    receivedAt,
    deadline: receivedAt + totalMs,
    // A caller who grants more time in all grants it to the first byte in proportion.
    firstByteMs: rule.firstByteMs * Math.max(1, totalMs / rule.totalMs),
    reuse: reuseOf({
      ...fields,
      sla: asked.sla,
      bodyBytes: body.length,
      cacheControl: readCacheControl(raw.headers.get("cache-control")),
    }),
  };
}

function closed(phase: "starting" | "draining"): Response {
  const message =
    phase === "starting"
      ? "The router is starting. Try again shortly."
      : "The router is draining and takes no new requests. Try again on another host.";
  return errorResponse(phase, message, { retryAfterMs: comeBackMs });
}

function refusal(dispatched: Exclude<Dispatched, { kind: "answer" }>): Response {
  // Nobody is there to read it; 499 is what nginx logs for it.
  if (dispatched.kind === "gone") return new Response(null, { status: 499 });
  const { code, message, retryAfterMs, journey } = dispatched;
  const headers = {
    "x-tierline-because": journey.because,
    "x-tierline-attempts": String(journey.tried.length),
  };
  return errorResponse(code, message, { retryAfterMs, headers });
}

function answerHeaders({
  headers: given,
  answeredBy: { tier, locality, name },
  attempts,
  journey,
  cache,
  ageMs,
}: Answer): Record<string, string> {
  const headers = relayedHeaders(given);
  headers["x-tierline-tier"] = tier;
  headers["x-tierline-locality"] = locality;
  headers["x-tierline-endpoint"] = name;
  headers["x-tierline-because"] = journey.because;
  headers["x-tierline-attempts"] = String(attempts);
  headers["x-tierline-cache"] = cache;
  // RFC 9111 section 5.1: whole seconds.
  if (ageMs !== undefined) headers["age"] = String(Math.floor(ageMs / 1000));
  return headers;
}

/** Milliseconds, as RFC 8941 decimals. `total` is until the answer began. A kept one came by no queue and no engine. */
function timing({ journey }: Dispatched, receivedAt: Instant, now: Instant): string {
  const totalMs = now - receivedAt;
  const routeMs = Math.max(0, totalMs - journey.queuedMs - journey.engineMs);
  const dur = (ms: number): string => ms.toFixed(2);
  const between =
    journey.because === "cached"
      ? ""
      : `queue;dur=${dur(journey.queuedMs)}, engine;dur=${dur(journey.engineMs)}, `;
  return `route;dur=${dur(routeMs)}, ${between}total;dur=${dur(totalMs)}`;
}
