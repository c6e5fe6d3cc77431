// Whether a request may have a second call beside a slow one, and where that may go. A whole answer never has: its length
// is the caller's choice, so that a long wait says nothing of the endpoint, and a second call would be as long.

import type { EndpointView } from "../fleet/endpoint-view.ts";
import type { FleetView } from "../fleet/fleet.ts";
import { holdsIn } from "./admission.ts";
import type { RoutingRequest } from "./request.ts";
import type { Rung } from "./sla.ts";

const hedgingRule = {
  /** A hedge takes nobody's place: it goes only where so much is free, and nobody waits. */
  pressureBelow: 0.75,
  /** The time left must hold so many delays: one to wait for the first call, one for the second. */
  delaysLeft: 2,
} as const;

/** How long to wait for the first byte of this call before a second one is worth its price; undefined: never. */
export function hedgeAfterMs(
  request: RoutingRequest,
  { tier, hedges }: Rung,
  endpoint: EndpointView,
  fleet: FleetView,
  leftMs: number,
): number | undefined {
  if (hedges !== true || !(request.stream || request.oneToken === true)) return undefined;
  const afterMs = endpoint.hedgeAfterMs(request.stream);
  if (afterMs === undefined || hedgingRule.delaysLeft * afterMs >= leftMs) return undefined;
  // Async work has time, who yields to all asks for no more, and a host that leaves wants less.
  if (request.sla === "async" || request.pressureBelow !== undefined || request.elsewhere === true)
    return undefined;
  return fleet.inTier(tier).length > 1 ? afterMs : undefined;
}

/** What routing is asked for a hedge: the same tier, at once, and only where there is room to spare. */
export function besideOf(request: RoutingRequest, { spec }: EndpointView): RoutingRequest {
  return {
    ...request,
    ladder: request.ladder.filter(({ tier }) => tier === spec.tier),
    pressureBelow: hedgingRule.pressureBelow,
    beside: true,
    spilled: holdsIn(spec.tier, request).spilled,
    laneMs: undefined,
  };
}
