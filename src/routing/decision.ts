// The four answers of routing, and the closed list of their reasons. A reason goes to the log, the metric label and the
// response header, so "why did this go there?" is one look-up.

import type { Tier } from "../fleet/endpoint.ts";
import type { EndpointView } from "../fleet/endpoint-view.ts";
import type { OutcomeKind } from "../fleet/outcome.ts";
import type { PeerRefusal } from "../fleet/peer.ts";

/** Why a request leaves this host although the tier is right: nothing here is of use, well, or free, or we are leaving. */
export type AwayReason =
  | "not-local"
  | "local-unhealthy"
  | "breaker-open-locally"
  | "peer-less-pressed"
  | "draining";
export type TryReason =
  | "local-first"
  /** There as well, but only after a wait for one of its slots. */
  | WaitReason
  /** Forwarded by a peer to this very endpoint. */
  | "local-only"
  | AwayReason
  | "affinity"
  | `fallback-from-${Tier}`
  | `retry-after-${OutcomeKind}`
  | "panic"
  /** Beside a call that is slow with its first byte. */
  | "hedge";
export type WaitReason = "local-full";
/** `over-share`: there may be room, but others come first. */
export type ShedReason = "pool-full" | "queue-full" | "over-share" | "too-late" | "no-endpoint" | "draining";
export type DeferReason = "deferred";
export type Reason = TryReason | WaitReason | ShedReason | DeferReason;

/** Why an attempt is made that had to wait for a slot, if that says more. */
export function afterWaiting(because: TryReason, { peer }: EndpointView): TryReason {
  return peer === undefined && (because === "local-first" || because === "affinity") ? "local-full" : because;
}

export type Decision =
  | {
      readonly do: "try";
      readonly endpoint: EndpointView;
      readonly because: TryReason;
      /** Without a first byte by then, a second call elsewhere is worth its price. */
      readonly hedgeAfterMs?: number | undefined;
    }
  | Wait
  | Shed
  /** The async lane takes it. */
  | { readonly do: "defer"; readonly because: DeferReason };

export interface Wait {
  /** In the endpoint's waiting room; woken, ask again. */
  readonly do: "wait";
  readonly endpoint: EndpointView;
  readonly because: WaitReason;
  readonly maxWaitMs: number;
  /** No room has a turn soon: a slot of a lower rung would do as well. */
  readonly isLate: boolean;
}

export interface Shed {
  readonly do: "shed";
  readonly because: ShedReason;
  readonly retryAfterMs: number;
}

/** Why an endpoint was not chosen: what `explain` prints beside it. */
export type Exclusion =
  | "already-tried"
  | "other-model"
  | "models-unknown"
  | "unhealthy"
  | "silent"
  | "barred"
  | "breaker-open"
  | "pushed-back"
  | "too-slow"
  | "share-full"
  /** Too busy for work that yields to everybody. */
  | "pressed"
  /** Its session, its caller's key, or those who would rather be in another tier hold their share. */
  | "over-share"
  | "full"
  /** Of a peer: its host leaves, was not heard of for long, or says itself that the engine takes nothing. */
  | PeerRefusal
  /** Of a peer: gossip doubts it, and nothing worse stands against it. */
  | "suspect"
  /** Of a peer: it has room, but is so new that others who have some come first. Nothing else stands against it. */
  | "joining"
  /** Of a peer: its free slots are other routers' share. */
  | "spoken-for";
