// The answers of routing (the fourth, `defer`, comes with the async lane), and the closed list of their reasons. A reason goes to the log, the metric label
// and the response header, so "why did this go there?" is one look-up.

import type { Tier } from "../fleet/endpoint.ts";
import type { EndpointView } from "../fleet/endpoint-state.ts";
import type { OutcomeKind } from "../fleet/outcome.ts";

export type TryReason = "local-first" | `fallback-from-${Tier}` | `retry-after-${OutcomeKind}` | "panic";
export type WaitReason = "local-full";
export type ShedReason = "pool-full" | "queue-full" | "too-late" | "no-endpoint";
export type Reason = TryReason | WaitReason | ShedReason;

export type Decision =
  | { readonly do: "try"; readonly endpoint: EndpointView; readonly because: TryReason }
  | {
      /** In the endpoint's waiting room; woken, ask again. */
      readonly do: "wait";
      readonly endpoint: EndpointView;
      readonly because: WaitReason;
      readonly maxWaitMs: number;
    }
  | Shed;

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
  | "full";
