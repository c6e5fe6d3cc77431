// How to reach one endpoint: its wire, how its answers are read, and what every request to it carries.

import type { AnswerDialect, Dialect } from "../engines/dialect.ts";
import type { IntentConstraint } from "../engines/intent-constraint.ts";
import type { EndpointSpec } from "../fleet/endpoint.ts";
import type { PeerClient } from "../host/peer-wire.ts";
import type { WireClient } from "../wire/client.ts";

export type EngineLink = LinkToEngine | LinkToPeer;

/** An engine of this host. */
export interface LinkToEngine {
  readonly client: WireClient;
  readonly dialect: Dialect;
  /** The engine's own key, where it has one; never the caller's. */
  readonly authorization: string | undefined;
  /** How the engine is kept to the letters of an intent's options, as far as is known by now. */
  readonly intentConstraint: () => IntentConstraint;
  /** Asks the engine what it serves now; whoever asks meanwhile shares the answer. */
  readonly relist?: () => Promise<void>;
  readonly peer?: undefined;
}

/** One behind another router, which speaks to it in its own dialect. */
export interface LinkToPeer {
  readonly client: PeerClient;
  readonly dialect: AnswerDialect;
  /** The endpoint that is claimed under seal; its tier may change while it is linked. */
  readonly peer: { readonly spec: EndpointSpec };
}
