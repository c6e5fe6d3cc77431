// In which tiers a request has found no room among peers: what a router tells the others when it is short of slots.

import type { Instant } from "../base/clock.ts";
import type { Tier } from "../fleet/endpoint.ts";
import type { EndpointView } from "../fleet/endpoint-view.ts";
import type { FleetView } from "../fleet/fleet.ts";
import { whyNot } from "./candidates.ts";
import type { Decision } from "./decision.ts";
import type { RoutingRequest, Tried } from "./request.ts";

const none: readonly Tier[] = [];

/** The tiers that the decision has passed over, where peers of them are full. */
export function missedTiers(
  decision: Decision,
  request: RoutingRequest,
  fleet: FleetView,
  tried: readonly Tried[],
  now: Instant,
): readonly Tier[] {
  const { ladder, only, share, pressureBelow } = request;
  // Most requests get the first tier. What others forward is their shortage, and who asks for a share can do without.
  const got = decision.do === "try" ? decision.endpoint.spec.tier : undefined;
  if (got !== undefined && got === ladder[0]?.tier) return none;
  if (only !== undefined || share !== undefined || pressureBelow !== undefined) return none;
  const isFull = (endpoint: EndpointView): boolean => {
    const exclusion = whyNot(endpoint, request, tried, now);
    // Free slots that are others' share are no sign of want, or shares once drawn would keep themselves in force.
    return exclusion === "full" || exclusion === "pushed-back";
  };
  const missed: Tier[] = [];
  for (const { tier } of ladder) {
    if (tier === got) break;
    const { near, far } = fleet.places(tier);
    if (near.some(isFull) || far.some(isFull)) missed.push(tier);
    if (decision.do === "wait" && tier === decision.endpoint.spec.tier) break;
  }
  return missed;
}
