// The table of endpoints: the one owner of what we know of each of them.

import type { Instant } from "../base/clock.ts";
import type { EndpointSpec, Tier } from "./endpoint.ts";
import type { EndpointState, EndpointView } from "./endpoint-state.ts";
import { createEndpointState } from "./endpoint-state.ts";

/** What routing may see. */
export interface FleetView {
  readonly endpoints: readonly EndpointView[];
  inTier(tier: Tier): readonly EndpointView[];
}

export interface Fleet extends FleetView {
  readonly endpoints: readonly EndpointState[];
  inTier(tier: Tier): readonly EndpointState[];
  /** The endpoint of that name, or undefined where a reload has removed it. */
  named(name: string): EndpointState | undefined;
  /** Rising over the whole fleet: the turn that a pick is stamped with. */
  nextPick(): number;
  /** Takes over a new set; an endpoint that keeps its name and its identity keeps what we know of it. */
  reconfigure(members: readonly FleetMember[]): void;
}

export interface FleetMember {
  readonly spec: EndpointSpec;
  /** What it is besides its name, its address first; with another one it is another endpoint. */
  readonly identity: string;
  /** What the operator pinned; undefined: what the engine lists. */
  readonly models: readonly string[] | undefined;
}

const none: readonly EndpointState[] = [];

export function createFleet(members: readonly FleetMember[]): Fleet {
  let endpoints: readonly EndpointState[] = [];
  let byName = new Map<string, EndpointState>();
  let identities = new Map<string, string>();
  let byTier = new Map<Tier, EndpointState[]>();
  let picks = 0;

  const reconfigure = (next: readonly FleetMember[]): void => {
    endpoints = next.map(({ spec, identity, models }) => {
      const known = identities.get(spec.name) === identity ? byName.get(spec.name) : undefined;
      known?.reconfigure(spec, models);
      return known ?? createEndpointState(spec, models);
    });
    byName = new Map(endpoints.map((endpoint) => [endpoint.spec.name, endpoint]));
    identities = new Map(next.map(({ spec, identity }) => [spec.name, identity]));
    byTier = Map.groupBy(endpoints, (endpoint) => endpoint.spec.tier);
  };
  reconfigure(members);

  return {
    get endpoints() {
      return endpoints;
    },
    inTier: (tier) => byTier.get(tier) ?? none,
    named: (name) => byName.get(name),
    nextPick() {
      picks += 1;
      return picks;
    },
    reconfigure,
  };
}

/** Free and used slots of some endpoints together. `utilization` is 0 to 1. */
export function poolOf(endpoints: readonly EndpointView[]): {
  used: number;
  limit: number;
  utilization: number;
} {
  let used = 0;
  let limit = 0;
  for (const endpoint of endpoints) {
    used += endpoint.inflight;
    limit += endpoint.spec.slots;
  }
  return { used, limit, utilization: limit === 0 ? 0 : used / limit };
}

/** Whether it takes new work, whatever its load: what `available` means in metrics and in /health. */
export function available(endpoint: EndpointView, now: Instant): boolean {
  return (
    endpoint.health !== "unhealthy" &&
    !endpoint.silent &&
    !endpoint.barred(now) &&
    endpoint.breakerState(now) !== "open"
  );
}
