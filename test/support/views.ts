// Endpoints as routing sees them, written down instead of lived through.

import { hash32 } from "../../src/base/hash32.ts";
import type { Tier } from "../../src/fleet/endpoint.ts";
import type { EndpointView, Health } from "../../src/fleet/endpoint-view.ts";
import type { FleetView } from "../../src/fleet/fleet.ts";
import type { PeerRefusal, PeerView } from "../../src/fleet/peer.ts";

/** What is not said is well, idle and unknown to have been anything else. */
export interface Seen {
  readonly tier?: Tier;
  readonly slots?: number;
  readonly queueLimit?: number;
  /** `unsaid`: neither the engine nor the operator has named any. */
  readonly models?: readonly string[] | "unsaid";
  readonly inflight?: number;
  readonly waiting?: number;
  readonly sharing?: number;
  /** Whose request is over its share: everybody's, the spilled ones', or of which sessions. */
  readonly overShare?: boolean | "spilled" | readonly string[];
  /** Somebody in its room makes place for whoever comes. */
  readonly displaces?: boolean;
  readonly leastMs?: number;
  readonly enoughMs?: number;
  readonly health?: Health;
  readonly silent?: boolean;
  readonly barred?: boolean;
  readonly pushedBack?: boolean;
  /** The models whose breaker refuses; `all` for every one. */
  readonly open?: readonly string[] | "all";
  readonly pressure?: number;
  readonly usualFirstByteMs?: number;
  readonly hedgeAfterMs?: number;
  readonly expectedWaitMs?: number;
  readonly lastPick?: number;
  /** It stands behind another router: what is known of that. */
  readonly peer?: SeenPeer;
}

export interface SeenPeer {
  readonly far?: boolean;
  readonly suspect?: boolean;
  readonly refusal?: PeerRefusal;
  /** Default: its slots less ours in flight. */
  readonly free?: number;
  /** Its free slots are others' share. */
  readonly spokenFor?: boolean;
  /** It is new, and has got what it gets while others have room. */
  readonly joining?: boolean;
}

export function view(name: string, seen: Seen = {}): EndpointView {
  const { tier = "gold", slots = 2, queueLimit = 2, inflight = 0, waiting = 0, open = [] } = seen;
  return {
    spec: { name, tier, locality: seen.peer === undefined ? "local" : "peer", slots, queueLimit },
    nameHash: hash32(name),
    peer: seen.peer && peerView(name, seen.peer, slots - inflight),
    models: seen.models === "unsaid" ? undefined : (seen.models ?? ["m"]),
    inflight,
    waiting,
    sharing: seen.sharing ?? 0,
    health: seen.health ?? "ok",
    silent: seen.silent ?? false,
    lastPick: seen.lastPick ?? 0,
    barred: () => seen.barred ?? false,
    pushedBack: () => seen.pushedBack ?? false,
    breakerAdmits: (model) => open !== "all" && !open.includes(model),
    breakerState: () => (open === "all" || open.length > 0 ? "open" : "closed"),
    pressure: () => seen.pressure ?? (inflight + waiting) / slots,
    recentFirstByteMs: () => seen.usualFirstByteMs,
    hedgeAfterMs: () => seen.hedgeAfterMs,
    expectedWaitMs: () => seen.expectedWaitMs,
    leastMs: () => seen.leastMs,
    enoughMs: () => seen.enoughMs,
    overShare({ session }, spilled) {
      const { overShare = false } = seen;
      if (typeof overShare === "boolean") return overShare;
      return overShare === "spilled" ? spilled : session !== undefined && overShare.includes(session);
    },
    displaces: () => seen.displaces ?? false,
  };
}

function peerView(name: string, seen: SeenPeer, free: number): PeerView {
  return {
    host: {
      name: `host-of-${name}`,
      public: "http://10.0.0.1:8010",
      zone: seen.far ? "far" : "near",
      boot: "1",
      suspect: seen.suspect ?? false,
      draining: seen.refusal === "draining",
      since: 0,
    },
    refusal: () => seen.refusal,
    freeSlots: () => seen.free ?? free,
    joining: () => seen.joining ?? false,
    permits: () => !seen.spokenFor,
  };
}

export function fleetOf(endpoints: readonly EndpointView[], panic = false): FleetView {
  const local = endpoints.filter(({ peer }) => peer === undefined);
  const peers = endpoints.filter(({ peer }) => peer !== undefined);
  const inTier = (tier: Tier, all = endpoints) => all.filter(({ spec }) => spec.tier === tier);
  return {
    endpoints,
    local,
    peers,
    panic,
    inTier: (tier) => inTier(tier),
    places: (tier) => ({
      local: inTier(tier, local),
      near: inTier(tier, peers).filter(({ peer }) => peer?.host.zone === "near"),
      far: inTier(tier, peers).filter(({ peer }) => peer?.host.zone === "far"),
    }),
    named: (name) => endpoints.find(({ spec }) => spec.name === name),
  };
}
