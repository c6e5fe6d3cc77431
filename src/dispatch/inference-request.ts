// One inference request as the rooms of motion carry it: the caller's own bytes, and what routing needs to know.

import type { Instant } from "../base/clock.ts";
import type { InferencePath } from "../engines/dialect.ts";
import type { IntentQuestion } from "../engines/intent-question.ts";
import type { EndpointState } from "../fleet/endpoint-state.ts";
import type { RoutingRequest } from "../routing/request.ts";
import type { Reuse } from "./reuse.ts";

export interface InferenceRequest extends RoutingRequest {
  readonly id: string;
  readonly path: InferencePath;
  /** As the caller sent it. */
  readonly body: Uint8Array;
  /** Asked instead of `body`, in the words of the engine that gets it. */
  readonly question?: IntentQuestion;
  /** The body's top-level `model`; undefined where it is absent. */
  readonly modelName: string | undefined;
  /** Whether the caller set a `priority` of their own. */
  readonly hasPriority: boolean;
  /** What of the caller's headers goes on to the engine, and what every request to it carries. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Bounds each streamed attempt until its first byte. */
  readonly firstByteMs: number;
  readonly receivedAt: Instant;
  /** Undefined: the answer may neither be kept nor shared. */
  readonly reuse?: Reuse | undefined;
  /** Told whenever the request takes a slot, and where. */
  readonly taken?: (endpoint: EndpointState) => void;
}
