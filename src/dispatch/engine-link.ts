// How to reach one engine: its wire, its dialect, and what every request to it carries.

import type { Dialect } from "../engines/dialect.ts";
import type { IntentConstraint } from "../engines/intent-constraint.ts";
import type { WireClient } from "../wire/client.ts";

export interface EngineLink {
  readonly client: WireClient;
  readonly dialect: Dialect;
  /** The engine's own key, where it has one; never the caller's. */
  readonly authorization: string | undefined;
  /** How the engine is kept to the letters of an intent's options, as far as is known by now. */
  readonly intentConstraint: () => IntentConstraint;
}
