// Which endpoints could serve a request now, and of each other one, why not.

import type { Instant } from "../base/clock.ts";
import type { EndpointView } from "../fleet/endpoint-view.ts";
import { canAnswerIn, isPressed, overShare, shareFull } from "./admission.ts";
import type { Exclusion } from "./decision.ts";
import type { RoutingRequest, Tried } from "./request.ts";

/** The model that the endpoint will be asked for; undefined while nobody knows what it serves. */
export function modelAt(endpoint: EndpointView, request: RoutingRequest): string | undefined {
  return request.model ?? endpoint.models?.[0];
}

/** Undefined: it can take the request now. The order is from "never" to "not now". */
export function whyNot(
  endpoint: EndpointView,
  request: RoutingRequest,
  tried: readonly Tried[],
  now: Instant,
): Exclusion | undefined {
  for (const attempt of tried) if (attempt.endpoint === endpoint.spec.name) return "already-tried";
  if (
    request.model !== undefined &&
    endpoint.models !== undefined &&
    !endpoint.models.includes(request.model)
  ) {
    return "other-model";
  }
  const { peer } = endpoint;
  const refusal = peer?.refusal(now);
  if (refusal !== undefined) return refusal;
  if (peer === undefined && request.elsewhere === true) return "draining";
  if (endpoint.health === "unhealthy") return "unhealthy";
  const model = modelAt(endpoint, request);
  if (model === undefined) return "models-unknown";
  if (endpoint.silent) return "silent";
  if (endpoint.barred(now)) return "barred";
  if (!endpoint.breakerAdmits(model, now)) return "breaker-open";
  if (endpoint.pushedBack(now, request.share !== undefined)) return "pushed-back";
  if (!canAnswerIn(endpoint, request.stream, request.deadline - now, now)) return "too-slow";
  if (request.share !== undefined && shareFull(endpoint, request.share)) return "share-full";
  if (request.pressureBelow !== undefined && isPressed(endpoint, request.pressureBelow, now))
    return "pressed";
  if (overShare(endpoint, request, now)) return "over-share";
  if (peer === undefined) return endpoint.inflight >= endpoint.spec.slots ? "full" : undefined;
  if (peer.freeSlots(now) < 1) return "full";
  if (!peer.permits(now)) return "spoken-for";
  if (peer.host.suspect) return "suspect";
  return peer.joining(now) ? "joining" : undefined;
}

/**
 * Whether an endpoint may be tried although it looks bad, when nobody looks better, and in which order.
 * Undefined: never. A failed health check is a veto, and so is what a peer or the gossip says of a peer; everything else
 * is our own judgement and may be wrong.
 */
export function guessRank(exclusion: Exclusion): number | undefined {
  switch (exclusion) {
    case "pushed-back":
      return 0;
    case "barred":
      return 1;
    case "breaker-open":
      return 2;
    case "silent":
      return 3;
    // It gets the name as the caller wrote it, be it a tier's.
    case "models-unknown":
      return 4;
    default:
      return undefined;
  }
}
