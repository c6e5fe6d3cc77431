// What routing needs to know of a request: no body, no headers, no socket.

import type { Instant } from "../base/clock.ts";
import type { Flow } from "../fleet/flows.ts";
import type { OutcomeKind } from "../fleet/outcome.ts";
import type { Rung, SlaClass } from "./sla.ts";

/** Its flow: whose it is is what shares go by. */
export interface RoutingRequest extends Flow {
  readonly sla: SlaClass;
  readonly ladder: readonly Rung[];
  /** The one model that will do; undefined: whatever the rung serves. */
  readonly model: string | undefined;
  readonly stream: boolean;
  /** It asks for one token, so that its time can be compared with that of others. */
  readonly oneToken?: boolean | undefined;
  readonly deadline: Instant;
  /** When it came to this host, so that what it has had in all is known. Undefined: it comes now. */
  readonly receivedAt?: Instant | undefined;
  /** Of a stream: it waits longer for a slot only where no other rung has one soon. */
  readonly waitsUntil?: Instant | undefined;
  /**
   * Above 0 and at most 1: requests with a share hold, all together, at most this part of an endpoint's slots, in flight
   * or in its waiting room; at least one. Whoever asks so has another answer at hand, so that a guess is never worth it.
   */
  readonly share?: number | undefined;
  /** Above 0 and at most 1: only endpoints with less pressure will do, at once or not at all. For work that yields to all. */
  readonly pressureBelow?: number | undefined;
  /** A hedge: it yields to all by `pressureBelow`, and is held to its caller's share as the first call is. */
  readonly beside?: boolean | undefined;
  /**
   * The async lane would take it on the bronze rung: how long that is likely to need, where the caller waits for it; 0
   * where the caller takes a job in the place of an answer. Undefined: it is not for the lane.
   */
  readonly laneMs?: number | undefined;
  /**
   * A player, a conversation: its requests should meet again at one endpoint, for the sake of its prefix cache, and hold
   * no more than a share of it while others want some.
   */
  readonly session?: string | undefined;
  /** This host is draining and takes nothing new: only peers will do. Not for what a peer has forwarded. */
  readonly elsewhere?: boolean | undefined;
  /** A peer has forwarded it to this endpoint of ours: there, at once, or not at all. */
  readonly only?: string | undefined;
  /** Its first router says that it would rather be in another tier. */
  readonly spilled?: boolean | undefined;
}

/** An attempt that is over, or being left. */
export interface Tried {
  readonly endpoint: string;
  readonly outcome: OutcomeKind;
}
