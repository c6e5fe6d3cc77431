// Endpoints as routing sees them, written down instead of lived through.

import type { Tier } from "../../src/fleet/endpoint.ts";
import { tiers } from "../../src/fleet/endpoint.ts";
import type { EndpointView, Health } from "../../src/fleet/endpoint-state.ts";
import type { FleetView } from "../../src/fleet/fleet.ts";

/** What is not said is well, idle and unknown to have been anything else. */
export interface Seen {
  readonly tier?: Tier;
  readonly slots?: number;
  readonly queueLimit?: number;
  /** `unsaid`: neither the engine nor the operator has named any. */
  readonly models?: readonly string[] | "unsaid";
  readonly inflight?: number;
  readonly waiting?: number;
  readonly health?: Health;
  readonly silent?: boolean;
  readonly barred?: boolean;
  readonly pushedBack?: boolean;
  /** The models whose breaker refuses; `all` for every one. */
  readonly open?: readonly string[] | "all";
  readonly pressure?: number;
  readonly usualFirstByteMs?: number;
  readonly expectedWaitMs?: number;
  readonly lastPick?: number;
}

export function view(name: string, seen: Seen = {}): EndpointView {
  const { tier = "gold", slots = 2, queueLimit = 2, inflight = 0, waiting = 0, open = [] } = seen;
  return {
    spec: { name, tier, locality: "local", slots, queueLimit },
    models: seen.models === "unsaid" ? undefined : (seen.models ?? ["m"]),
    inflight,
    waiting,
    health: seen.health ?? "ok",
    silent: seen.silent ?? false,
    lastPick: seen.lastPick ?? 0,
    barred: () => seen.barred ?? false,
    pushedBack: () => seen.pushedBack ?? false,
    breakerAdmits: (model) => open !== "all" && !open.includes(model),
    breakerState: () => (open === "all" || open.length > 0 ? "open" : "closed"),
    pressure: () => seen.pressure ?? (inflight + waiting) / slots,
    recentFirstByteMs: () => seen.usualFirstByteMs,
    expectedWaitMs: () => seen.expectedWaitMs,
  };
}

export function fleetOf(endpoints: readonly EndpointView[]): FleetView {
  const byTier = new Map(tiers.map((tier) => [tier, endpoints.filter(({ spec }) => spec.tier === tier)]));
  return { endpoints, inTier: (tier) => byTier.get(tier) ?? [] };
}
