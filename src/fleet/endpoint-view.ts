// What routing may see of an endpoint: a read-only type over the live object, which is endpoint-state.ts.

import type { Instant } from "../base/clock.ts";
import type { BreakerState } from "./breaker.ts";
import type { EndpointSpec } from "./endpoint.ts";
import type { Flow, Holds } from "./flows.ts";
import type { PeerView } from "./peer.ts";

export type Health = "unknown" | "ok" | "unhealthy";

/** What an engine says of itself; what it does not say is undefined, never 0. */
export interface EngineGauges {
  readonly running?: number | undefined;
  readonly waiting?: number | undefined;
  /** 0 to 1. */
  readonly kvUsage?: number | undefined;
}

export interface EndpointView {
  readonly spec: EndpointSpec;
  /** Undefined until the engine or the operator has named them. */
  readonly models: readonly string[] | undefined;
  readonly inflight: number;
  readonly waiting: number;
  /** Of those in flight and those waiting, the ones that may hold only a share of the endpoint. */
  readonly sharing: number;
  readonly health: Health;
  readonly silent: boolean;
  /** Turn of the last pick, rising over the whole fleet: round robin takes the lowest. */
  readonly lastPick: number;
  /** Of its name, for what is drawn by it. */
  readonly nameHash: number;
  /** Undefined: it is an engine of this host. */
  readonly peer: PeerView | undefined;
  /** Refused or reset moments ago. */
  barred(now: Instant): boolean;
  /** Said itself that it is full, and the time it asked for has not passed. `shares`: for who may hold only a share. */
  pushedBack(now: Instant, shares?: boolean): boolean;
  breakerAdmits(model: string, now: Instant): boolean;
  /** The worst over the models. */
  breakerState(now: Instant): BreakerState;
  /** How full and how troubled: 0 idle, 1 full, more when it fails or is just back. Half, where a peer's is not known. */
  pressure(now: Instant): number;
  /** Median first byte of the streams of the last ten seconds, or what a peer says it is; undefined where there were too few. */
  recentFirstByteMs(now: Instant): number | undefined;
  /**
   * How long a call may wait for its first byte before a second one elsewhere is likely to be first: of streams, or of
   * questions for one token. Undefined: never, or nobody knows.
   */
  hedgeAfterMs(stream: boolean): number | undefined;
  /** Whether a request of that flow must stand back for others. `spilled`: it would rather be in another tier. */
  overShare(flow: Flow, spilled: boolean, now: Instant): boolean;
  /** Whether somebody in its full waiting room would make room for such a newcomer. */
  displaces(holds: Holds): boolean;
  /**
   * How long one more request in the waiting room would wait, that one behind those who go before it, or any behind all;
   * undefined while nothing is known.
   */
  expectedWaitMs(waiter?: Holds, deadline?: Instant, now?: Instant): number | undefined;
  /** What nearly every answer took at least, until their first byte; undefined while too few are known. */
  leastMs(stream: boolean): number | undefined;
  /** What is enough for nearly all answers to requests of that class, until they are whole; undefined while too few are known. */
  enoughMs(like: string, stream: boolean): number | undefined;
}
