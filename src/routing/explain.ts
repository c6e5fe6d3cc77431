// The decision that would be taken now, and why each endpoint is or is not it. Nothing is taken, nothing changes.

import type { Instant } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { FleetView } from "../fleet/fleet.ts";
import { whyNot } from "./candidates.ts";
import type { Exclusion } from "./decision.ts";
import type { RoutingRequest } from "./request.ts";
import { route } from "./route.ts";

export interface Explanation {
  readonly decision: {
    readonly do: "try" | "wait" | "shed" | "defer";
    readonly because: string;
    readonly endpoint?: string;
    readonly tier?: string;
    readonly max_wait_ms?: number;
    readonly retry_after_ms?: number;
  };
  readonly candidates: readonly { readonly endpoint: string; readonly because: CandidateReason }[];
}

export type CandidateReason = Exclusion | "chosen" | "less-preferred" | "lower-rung" | "not-on-ladder";

export function explain(
  request: RoutingRequest,
  fleet: FleetView,
  now: Instant,
  random: Random,
): Explanation {
  const decision = route(request, fleet, [], now, random);
  const chosen = "endpoint" in decision ? decision.endpoint : undefined;
  const rungOf = (tier: string): number => request.ladder.findIndex((rung) => rung.tier === tier);
  const chosenRung = chosen === undefined ? -1 : rungOf(chosen.spec.tier);

  const candidates = fleet.endpoints.map((endpoint) => {
    const rung = rungOf(endpoint.spec.tier);
    const because = (): CandidateReason => {
      if (endpoint === chosen) return "chosen";
      if (rung < 0) return "not-on-ladder";
      const exclusion = whyNot(endpoint, request, [], now);
      return exclusion ?? (rung > chosenRung ? "lower-rung" : "less-preferred");
    };
    return { endpoint: endpoint.spec.name, because: because() };
  });

  if (decision.do === "shed") {
    const { because, retryAfterMs } = decision;
    return { decision: { do: "shed", because, retry_after_ms: retryAfterMs }, candidates };
  }
  if (decision.do === "defer") return { decision, candidates };
  const { because, endpoint } = decision;
  const place = { endpoint: endpoint.spec.name, tier: endpoint.spec.tier };
  if (decision.do === "try") return { decision: { do: "try", because, ...place }, candidates };
  return { decision: { do: "wait", because, ...place, max_wait_ms: decision.maxWaitMs }, candidates };
}
