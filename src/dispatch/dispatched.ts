// What became of a request: an answer or none, and the way to it.

import type { Instant } from "../base/clock.ts";
import type { ErrorCode } from "../base/error-codes.ts";
import type { EndpointSpec } from "../fleet/endpoint.ts";
import type { Reason, TryReason } from "../routing/decision.ts";
import type { Tried } from "../routing/request.ts";
import type { HedgeEnd } from "./hedge.ts";
import type { Relay } from "./relay.ts";

/** What became of one attempt, for the log and the counters. */
export interface AttemptRecord extends Tried {
  readonly because: TryReason;
  readonly ms: number;
  readonly why: string;
  readonly retryAfterMs: number | undefined;
}

/** How a request went so far; filled while it goes, complete when `onEnd` is called. */
export interface Journey {
  readonly tried: AttemptRecord[];
  /** Time spent waiting for a slot. */
  queuedMs: number;
  /** Time spent in calls to engines, until their answers could begin or they failed. */
  engineMs: number;
  /** `cached` and `joined`: the answer of another request. `quarantined`: engines died of it. */
  because: Reason | "cached" | "joined" | "quarantined";
  /** What became of the call that was made beside a slow one, where there was one. */
  hedge?: HedgeEnd;
}

/** Who gave the answer; where it is given again, perhaps long ago. */
export type AnsweredBy = Pick<EndpointSpec, "name" | "tier" | "locality">;

export interface Answer {
  readonly kind: "answer";
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array | Relay;
  readonly answeredBy: AnsweredBy;
  /** What the engine was asked for; undefined: its models were not known. */
  readonly model?: string | undefined;
  readonly attempts: number;
  readonly answeredAt: Instant;
  readonly journey: Journey;
  /** What the result cache did; `off` where it had no say. */
  readonly cache: "hit" | "join" | "miss" | "off";
  /** Of an answer that was kept. */
  readonly ageMs?: number;
}

export type Dispatched =
  | Answer
  | {
      readonly kind: "refusal";
      readonly code: ErrorCode;
      readonly message: string;
      readonly retryAfterMs: number | undefined;
      readonly journey: Journey;
    }
  /** The caller left before there was an answer. */
  | { readonly kind: "gone"; readonly journey: Journey }
  /** It is for the async lane. Nothing of it is stored yet: that is the door's to see to. */
  | { readonly kind: "defer"; readonly journey: Journey };
