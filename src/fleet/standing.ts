// How an endpoint stands, whoever asks: whether it takes new work, and if not, why not. What speaks against it for one
// request only (its model, its deadline) is routing's to say, in the same words.

import type { Instant } from "../base/clock.ts";
import type { EndpointView } from "./endpoint-view.ts";
import type { PeerRefusal } from "./peer.ts";

export type Standing =
  | "ok"
  | PeerRefusal
  | "suspect"
  | "unhealthy"
  | "models-unknown"
  | "silent"
  | "barred"
  | "breaker-open"
  | "pushed-back"
  | "full";

/** One model that fails is no reason to leave the others. */
export const breaksForAll = ({ models = [], breakerAdmits }: EndpointView, now: Instant): boolean =>
  models.length > 0 && models.every((model) => !breakerAdmits(model, now));

/** The worst of all that stands against it; what concerns its whole host comes first. */
export function standingOf(endpoint: EndpointView, now: Instant): Standing {
  const { peer, models = [], spec, inflight } = endpoint;
  if (peer?.host.suspect) return "suspect";
  const refusal = peer?.refusal(now);
  if (refusal !== undefined) return refusal;
  if (endpoint.health === "unhealthy") return "unhealthy";
  if (models.length === 0) return "models-unknown";
  if (endpoint.silent) return "silent";
  if (endpoint.barred(now)) return "barred";
  if (breaksForAll(endpoint, now)) return "breaker-open";
  if (endpoint.pushedBack(now)) return "pushed-back";
  const free = peer === undefined ? spec.slots - inflight : peer.freeSlots(now);
  return free < 1 ? "full" : "ok";
}
