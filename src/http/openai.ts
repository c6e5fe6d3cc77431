// The inference endpoints: what becomes of a request between its arrival and the last byte of its answer.

import type { Instant } from "../base/clock.ts";
import { Departure } from "../base/departure.ts";
import type { ErrorCode } from "../base/error-codes.ts";
import type { Answer, Dispatched } from "../dispatch/dispatched.ts";
import type { InferencePath } from "../engines/dialect.ts";
import type { Admitted, Arrival } from "./arrival.ts";
import { closed } from "./closed.ts";
import type { Door } from "./door.ts";
import { shedByHeaders } from "./early-shed.ts";
import { errorResponse } from "./errors.ts";
import { judged, toldToPeer } from "./forwarded.ts";
import type { Told } from "./in-lane.ts";
import { inLane } from "./in-lane.ts";
import { readRequest } from "./read-request.ts";
import type { RelayEnd } from "./relay-body.ts";
import { relayBody } from "./relay-body.ts";
import { relayedHeaders, requestIdOf, traceOf } from "./request-headers.ts";

export async function handleInference(
  path: InferencePath,
  raw: Request,
  admitted: Admitted,
  door: Door,
): Promise<Response> {
  const { clock, account, lifecycle } = door;
  const receivedAt = clock.now();
  const id = requestIdOf(raw.headers.get("x-request-id"));
  const trace = traceOf(raw.headers.get("traceparent"));
  const arrival: Arrival = {
    ...admitted,
    path,
    receivedAt,
    id,
    trace,
    elsewhere: lifecycle.phase === "draining",
  };
  const why = whyClosed(door, arrival);
  if (why !== undefined) {
    account.rejected(why, arrival);
    return labelled(closed(why), why, arrival, door);
  }
  const early = shedByHeaders(raw.headers, arrival, door);
  if (early !== undefined) {
    const { response, code } = refusal(early.dispatched);
    account.finished(early.request, early.dispatched, code ?? "left", response.status, arrival);
    response.headers.set("server-timing", timing(early.dispatched, receivedAt, clock.now()));
    return labelled(response, code, arrival, door);
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
  const end = lifecycle.begin(() => cut(), receivedAt);
  const done = (): void => {
    // A signal that is listened to outlives its request, until the next full collection.
    raw.signal.removeEventListener("abort", leave);
    end();
  };
  let handedOver = false;
  try {
    const request = await readRequest(raw, door, arrival);
    if ("code" in request) {
      account.rejected(request.code, arrival);
      return labelled(errorResponse(request.code, request.message, request), request.code, arrival, door);
    }
    const dispatched = judged(request, await door.dispatch(request, leaving), door);
    const finish = (how: RelayEnd, status: number): void => {
      done();
      account.finished(request, dispatched, how, status, arrival);
    };
    if (dispatched.kind !== "answer") {
      const told =
        dispatched.kind === "defer"
          ? await inLane(request, dispatched, raw.headers, arrival.key, door, leaving)
          : refusal(dispatched);
      const { response, code } = isCut ? ({ response: closed("draining"), code: "draining" } as const) : told;
      const isLeft = dispatched.kind === "gone" || leaving.aborted;
      finish(code ?? (isLeft ? "left" : "complete"), response.status);
      response.headers.set("server-timing", timing(dispatched, receivedAt, clock.now()));
      return labelled(response, code, arrival, door);
    }

    const { status, body } = dispatched;
    const headers = answerHeaders(dispatched);
    headers["server-timing"] = timing(dispatched, receivedAt, clock.now());
    addOwn(headers, undefined, arrival, door);
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

/** What every answer carries, an engine's or ours. `code`: undefined where it is no refusal of ours that anybody reads. */
function addOwn(
  headers: Record<string, string>,
  code: ErrorCode | undefined,
  { id, trace, fromPeer }: Arrival,
  door: Door,
): void {
  headers["x-request-id"] = id;
  headers["traceparent"] = trace.own;
  if (fromPeer !== undefined) Object.assign(headers, toldToPeer(fromPeer, door, code));
  // Who comes again comes to a host that stays.
  if (door.lifecycle.ending) headers["connection"] = "close";
}

function labelled(response: Response, code: ErrorCode | undefined, arrival: Arrival, door: Door): Response {
  const own: Record<string, string> = {};
  addOwn(own, code, arrival, door);
  for (const [name, value] of Object.entries(own)) response.headers.set(name, value);
  return response;
}

/** While this host drains, its peers answer for it. What a peer has forwarded is that peer's to send elsewhere. */
function whyClosed({ lifecycle, fleet }: Door, { fromPeer }: Arrival): "starting" | "draining" | undefined {
  const { phase, over } = lifecycle;
  if (phase === "ready") return undefined;
  const canSend = phase === "draining" && !over && fleet.peers.length > 0;
  return canSend && fromPeer === undefined ? undefined : phase;
}

function refusal(dispatched: Extract<Dispatched, { kind: "refusal" | "gone" }>): Told {
  // Nobody is there to read it; 499 is what nginx logs for it.
  if (dispatched.kind === "gone") return { response: new Response(null, { status: 499 }) };
  const { code, message, retryAfterMs, journey } = dispatched;
  const headers = {
    "x-tierline-because": journey.because,
    "x-tierline-attempts": String(journey.tried.length),
  };
  return { response: errorResponse(code, message, { retryAfterMs, headers }), code };
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
