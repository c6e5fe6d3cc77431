// Another router of the fleet, and how one engine behind it looks from here. What its own router thinks of the engine
// comes by gossip; what our calls to it meet is endpoint-state.ts's, as for any endpoint.

import type { Instant } from "../base/clock.ts";
import type { HostBar } from "./host-bar.ts";
import type { EngineState } from "./load.ts";
import type { PeerLoad } from "./peer-load.ts";
import { slowStartWeight } from "./slow-start.ts";

export interface PeerHost {
  readonly name: string;
  /** Base address of its public listener. */
  readonly public: string;
  readonly zone: string | undefined;
  /** Which run of its program this is. */
  readonly boot: string;
  readonly suspect: boolean;
  readonly draining: boolean;
  /** Since when it serves: a joiner gets its share little by little. */
  readonly since: Instant;
}

/** Why a peer's endpoint gets nothing new, by what its own router and the gossip say. */
export type PeerRefusal = "draining" | "stale" | "troubled-there";

/** What routing may see. */
export interface PeerView {
  readonly host: Readonly<PeerHost>;
  refusal(now: Instant): PeerRefusal | undefined;
  /** By its word and what we have sent since. */
  freeSlots(now: Instant): number;
  /** Whether one more is within our share of what its host told everybody. */
  permits(now: Instant): boolean;
  /** Whether one more is above what a joiner gets by now while others have room. */
  joining(now: Instant): boolean;
}

export interface PeerEndpoint {
  readonly host: { -readonly [Field in keyof PeerHost]: PeerHost[Field] };
  /** Of all endpoints of the host: they share a listener. */
  readonly bar: HostBar;
  readonly load: PeerLoad;
  state: EngineState;
}

/** Slots that a peer's endpoint has for whoever has a choice, a joiner's fewer. */
export const slotsBehind = (slots: number, host: Readonly<PeerHost>, now: Instant): number =>
  Math.max(1, Math.floor(slots * slowStartWeight(host.since, now)));

export function refusalOf(peer: PeerEndpoint, now: Instant): PeerRefusal | undefined {
  if (peer.host.draining) return "draining";
  if (peer.state !== "ok") return "troubled-there";
  return peer.load.useless(now) ? "stale" : undefined;
}
