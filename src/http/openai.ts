// The inference endpoints: from an HTTP request to one InferenceRequest, and from its answer to an HTTP response.

import type { Instant } from "../base/clock.ts";
import type { Dispatched, Journey } from "../dispatch/dispatch.ts";
import type { InferenceRequest } from "../dispatch/inference-request.ts";
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
  readDeadlineMs,
  readSla,
  relayedHeaders,
  requestIdOf,
  traceOf,
} from "./request-headers.ts";

/** Said with 503 while the router is not taking requests. */
const comeBackMs = 1000;

export async function handleInference(path: InferencePath, raw: Request, door: Door): Promise<Response> {
  const receivedAt = door.clock.now();
  const id = requestIdOf(raw.headers.get("x-request-id"));
  const trace = traceOf(raw.headers.get("traceparent"));
  const result = await answer(path, raw, door, { receivedAt, id, trace });
  if (!(result instanceof Response)) {
    const { body, status, headers } = result;
    headers["x-request-id"] = id;
    headers["traceparent"] = trace.own;
    return new Response(body, { status, headers });
  }
  result.headers.set("x-request-id", id);
  result.headers.set("traceparent", trace.own);
  return result;
}

interface Arrival {
  readonly receivedAt: Instant;
  readonly id: string;
  readonly trace: Trace;
}

/** An answer before it becomes a Response, whose headers cost more to change. */
interface PlainAnswer {
  readonly status: number;
  readonly headers: Record<string, string>;
  readonly body: Uint8Array | ReadableStream<Uint8Array>;
}

async function answer(
  path: InferencePath,
  raw: Request,
  door: Door,
  arrival: Arrival,
): Promise<Response | PlainAnswer> {
  const { clock, account, lifecycle } = door;
  if (lifecycle.phase !== "ready") {
    account.rejected(lifecycle.phase);
    return closed(lifecycle.phase);
  }
  const leaving = new AbortController();
  const leave = (): void => leaving.abort();
  raw.signal.addEventListener("abort", leave);
  if (raw.signal.aborted) leave();
  let cut = leave;
  const done = lifecycle.begin(() => cut());
  let handedOver = false;
  try {
    const request = await readRequest(path, raw, door, arrival);
    if ("code" in request) {
      account.rejected(request.code);
      return errorResponse(request.code, request.message, request);
    }
    const dispatched = await door.dispatch(request, leaving.signal);
    const finish = (how: RelayEnd, status: number): void => {
      done();
      account.finished(request, dispatched, how, status);
    };
    if (dispatched.kind !== "answer") {
      const isCut = leaving.signal.aborted && !raw.signal.aborted;
      const response = isCut ? closed("draining") : refusal(dispatched);
      finish(isCut ? "draining" : dispatched.kind === "refusal" ? dispatched.code : "left", response.status);
      response.headers.set("server-timing", timing(dispatched.journey, arrival.receivedAt, clock.now()));
      return response;
    }

    const { status, body } = dispatched;
    const headers = answerHeaders(dispatched);
    headers["server-timing"] = timing(dispatched.journey, arrival.receivedAt, clock.now());
    handedOver = true;
    if (body instanceof Uint8Array) {
      finish("complete", status);
      return { body, status, headers };
    }
    const events = headers["content-type"]?.startsWith("text/event-stream") ?? false;
    const relayed = relayBody(body, raw.signal, events, clock, (how) => finish(how, status));
    cut = relayed.cut;
    return { body: relayed.stream, status, headers };
  } finally {
    raw.signal.removeEventListener("abort", leave);
    // A bug on the way must not leave the request among the active for ever.
    if (!handedOver) done();
  }
}

async function readRequest(
  path: InferencePath,
  raw: Request,
  door: Door,
  { receivedAt, id, trace }: Arrival,
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
  endpoint: { spec },
  attempts,
  journey,
}: Extract<Dispatched, { kind: "answer" }>): Record<string, string> {
  const headers = relayedHeaders(given);
  headers["x-tierline-tier"] = spec.tier;
  headers["x-tierline-locality"] = spec.locality;
  headers["x-tierline-endpoint"] = spec.name;
  headers["x-tierline-because"] = journey.because;
  headers["x-tierline-attempts"] = String(attempts);
  headers["x-tierline-cache"] = "off";
  return headers;
}

/** Milliseconds, as RFC 8941 decimals. `total` is until the answer began. */
function timing(journey: Journey, receivedAt: Instant, now: Instant): string {
  const totalMs = now - receivedAt;
  const routeMs = Math.max(0, totalMs - journey.queuedMs - journey.engineMs);
  const dur = (ms: number): string => ms.toFixed(2);
  return `route;dur=${dur(routeMs)}, queue;dur=${dur(journey.queuedMs)}, engine;dur=${dur(journey.engineMs)}, total;dur=${dur(totalMs)}`;
}
