// The table of endpoints: the one owner of what we know of each of them, be it an engine of this host or one behind a
// peer. Configuration says what is here, gossip says what is there; neither touches the other's.

import type { Instant } from "../base/clock.ts";
import type { EndpointSpec, Tier } from "./endpoint.ts";
import type { EndpointState } from "./endpoint-state.ts";
import { createEndpointState } from "./endpoint-state.ts";
import type { EndpointView } from "./endpoint-view.ts";
import type { PeerFacts, PeerTable } from "./peer-table.ts";
import { createPeerTable } from "./peer-table.ts";
import { createShortage } from "./shortage.ts";

/** The endpoints of one tier, by how far away they are. */
export interface Places<Endpoint extends EndpointView = EndpointView> {
  readonly local: readonly Endpoint[];
  /** Behind peers in this host's zone; all peers, where it does not know its zone. */
  readonly near: readonly Endpoint[];
  readonly far: readonly Endpoint[];
}

/** What routing may see. */
export interface FleetView {
  /** This host's own first. */
  readonly endpoints: readonly EndpointView[];
  readonly local: readonly EndpointView[];
  readonly peers: readonly EndpointView[];
  inTier(tier: Tier): readonly EndpointView[];
  places(tier: Tier): Places;
  named(name: string): EndpointView | undefined;
  /** So many peers are suspect or draining that suspicion is more likely to be wrong than they are to be gone. */
  readonly panic: boolean;
}

export interface Fleet extends FleetView {
  readonly endpoints: readonly EndpointState[];
  readonly local: readonly EndpointState[];
  readonly peers: readonly EndpointState[];
  inTier(tier: Tier): readonly EndpointState[];
  places(tier: Tier): Places<EndpointState>;
  /** The endpoint of that name, or undefined where a reload or a departure has removed it. */
  named(name: string): EndpointState | undefined;
  /** Rising over the whole fleet: the turn that a pick is stamped with. */
  nextPick(): number;
  /** Takes over a new set of this host's own; an endpoint that keeps its name and its identity keeps what we know of it. */
  reconfigure(members: readonly FleetMember[]): void;
  /**
   * What is known of one other router, whenever that changes. Its endpoints keep what we know of them while its run and
   * its address stay. True where endpoints came or went.
   */
  setPeer(facts: PeerFacts, now: Instant): boolean;
  /** A request of ours found no room among peers of that tier. */
  missed(tier: Tier, now: Instant): void;
  /** The tiers in which that happened a moment ago. */
  short(now: Instant): readonly Tier[];
  /** When the last host that served the model went away, where that is within living memory. */
  servedUntil(model: string): Instant | undefined;
}

export interface FleetMember {
  readonly spec: EndpointSpec;
  /** What it is besides its name, its address first; with another one it is another endpoint. */
  readonly identity: string;
  /** What the operator pinned; undefined: what the engine lists. */
  readonly models: readonly string[] | undefined;
}

/** Who asks: what is near is near to it, and of all news it gets one share. */
export interface Home {
  readonly name: string;
  readonly zone: string | undefined;
}

const none: readonly EndpointState[] = [];
const nowhere: Places<EndpointState> = { local: none, near: none, far: none };

export function createFleet(
  members: readonly FleetMember[],
  home: Home = { name: "", zone: undefined },
): Fleet {
  const peerTable: PeerTable = createPeerTable(home.name);
  const shortage = createShortage();
  let local: readonly EndpointState[] = [];
  let endpoints: readonly EndpointState[] = [];
  let localByName = new Map<string, EndpointState>();
  let identities = new Map<string, string>();
  let byTier = new Map<Tier, EndpointState[]>();
  let places = new Map<Tier, Places<EndpointState>>();
  let picks = 0;

  const isNear = ({ peer }: EndpointState): boolean =>
    home.zone === undefined || peer?.host.zone === home.zone;

  const arrange = (): void => {
    endpoints = [...local, ...peerTable.endpoints];
    byTier = Map.groupBy(endpoints, (endpoint) => endpoint.spec.tier);
    places = new Map(
      byTier.entries().map(([tier, all]) => {
        const away = all.filter(({ peer }) => peer !== undefined);
        const here = all.filter(({ peer }) => peer === undefined);
        const near = away.filter(isNear);
        return [tier, { local: here, near, far: away.filter((endpoint) => !isNear(endpoint)) }];
      }),
    );
  };

  const reconfigure = (next: readonly FleetMember[]): void => {
    local = next.map(({ spec, identity, models }) => {
      const known = identities.get(spec.name) === identity ? localByName.get(spec.name) : undefined;
      known?.reconfigure(spec, models);
      return known ?? createEndpointState(spec, models);
    });
    localByName = new Map(local.map((endpoint) => [endpoint.spec.name, endpoint]));
    identities = new Map(next.map(({ spec, identity }) => [spec.name, identity]));
    arrange();
  };
  reconfigure(members);

  return {
    get endpoints() {
      return endpoints;
    },
    get local() {
      return local;
    },
    get peers() {
      return peerTable.endpoints;
    },
    get panic() {
      return peerTable.panic;
    },
    inTier: (tier) => byTier.get(tier) ?? none,
    places: (tier) => places.get(tier) ?? nowhere,
    named: (name) => localByName.get(name) ?? peerTable.named(name),
    nextPick() {
      picks += 1;
      return picks;
    },
    reconfigure,
    setPeer(facts, now) {
      const changed = peerTable.set(facts, now);
      if (changed) arrange();
      return changed;
    },
    missed: shortage.missed,
    short: shortage.of,
    servedUntil: peerTable.servedUntil,
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
    endpoint.breakerState(now) !== "open" &&
    (endpoint.peer === undefined || (!endpoint.peer.host.suspect && endpoint.peer.refusal(now) === undefined))
  );
}
