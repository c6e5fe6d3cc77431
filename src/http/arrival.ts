// One inference request as it came in: whose it is, on which terms it may be answered. Its body is not read yet.

import type { Instant } from "../base/clock.ts";
import type { InferencePath } from "../engines/dialect.ts";
import type { Forwarded } from "../host/forwarded.ts";
import type { Caller } from "./callers.ts";
import type { Trace } from "./request-headers.ts";

/** Another router's, by a seal that is good. */
export interface FromPeer {
  readonly from: string;
  readonly forwarded: Forwarded;
}

export interface Admitted {
  /** The name of the key that it carries, here or at its first router; undefined where none is asked for. */
  readonly caller: string | undefined;
  /** That key and what it may do, where it has come to this router; a peer's request has been measured by it there. */
  readonly key?: Caller;
  readonly fromPeer?: FromPeer;
  /** The router that asks about jobs in the caller's name: what this one does not have it must not ask others for. */
  readonly fromMember?: string;
}

export interface Arrival extends Admitted {
  readonly path: InferencePath;
  readonly receivedAt: Instant;
  readonly id: string;
  readonly trace: Trace;
  /** This host takes nothing new: only peers will do. */
  readonly elsewhere: boolean;
}
