// What routing needs to know of a request: no body, no headers, no socket.

import type { Instant } from "../base/clock.ts";
import type { OutcomeKind } from "../fleet/outcome.ts";
import type { Rung, SlaClass } from "./sla.ts";

export interface RoutingRequest {
  readonly sla: SlaClass;
  readonly ladder: readonly Rung[];
  /** The one model that will do; undefined: whatever the rung serves. */
  readonly model: string | undefined;
  readonly stream: boolean;
  readonly deadline: Instant;
}

/** An attempt that is over, or being left. */
export interface Tried {
  readonly endpoint: string;
  readonly outcome: OutcomeKind;
}
