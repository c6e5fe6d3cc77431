// One rung of each tier, all of a kind.

import { balancers } from "../../src/routing/balancers/balancers.ts";
import type { RoutingPolicy, Rung } from "../../src/routing/sla.ts";

export function rungsOf(how: Partial<Omit<Rung, "tier">> = {}): RoutingPolicy["rungs"] {
  const rung = { balance: balancers["least-pressure"], ...how };
  return {
    gold: { tier: "gold", ...rung },
    silver: { tier: "silver", ...rung },
    bronze: { tier: "bronze", ...rung },
  };
}
