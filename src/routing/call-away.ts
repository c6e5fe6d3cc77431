// Whether a request that waits in a room would rather take a free slot elsewhere. Only where `route` would then let it try,
// or give it an earlier turn: called in vain, it would be called again and again, and nobody else.

import type { Instant } from "../base/clock.ts";
import type { Tier } from "../fleet/endpoint.ts";
import type { EndpointView } from "../fleet/endpoint-view.ts";
import type { FleetView } from "../fleet/fleet.ts";
import { whyNot } from "./candidates.ts";
import type { Wait } from "./decision.ts";
import type { RoutingRequest, Tried } from "./request.ts";
import { isBounced } from "./route.ts";

export function mayCallAway(
  { endpoint: { spec: room }, isLate }: Wait,
  endpoint: EndpointView,
  request: RoutingRequest,
  fleet: FleetView,
  tried: readonly Tried[],
  now: Instant,
): boolean {
  const { tier, name } = endpoint.spec;
  // Removed by a reload or a departure, its last calls end all the same.
  if (fleet.named(name) !== endpoint) return false;
  const isAbove = standsAbove(request, tier, room.tier);
  const isBelow = !isAbove && tier !== room.tier;
  if (isBelow && !(isLate && request.ladder.some((rung) => rung.tier === tier))) return false;
  // Their news must be old, and it has a room; above that it may have one whose turn comes late.
  if (endpoint.peer !== undefined && isBounced(tried)) return false;
  const exclusion = whyNot(endpoint, request, tried, now);
  if (exclusion === "suspect") return fleet.panic && request.share === undefined;
  return exclusion === undefined || exclusion === "joining";
}

function standsAbove({ ladder }: RoutingRequest, tier: Tier, than: Tier): boolean {
  for (const rung of ladder) {
    if (rung.tier === than) return false;
    if (rung.tier === tier) return true;
  }
  return false;
}
