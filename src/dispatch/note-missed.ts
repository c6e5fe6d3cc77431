// Who asked for an endpoint and got none of it.

import type { Instant } from "../base/clock.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { holdsIn } from "../routing/admission.ts";
import type { RoutingRequest } from "../routing/request.ts";

/** Whoever holds all of an endpoint must learn that others want some of it, be there no room to wait in. */
export function noteMissed(request: RoutingRequest, fleet: Fleet, now: Instant): void {
  for (const { tier } of request.ladder) {
    const { flow } = holdsIn(tier, request);
    if (flow === undefined) return;
    for (const endpoint of fleet.inTier(tier)) endpoint.missedBy(flow, now);
  }
}
