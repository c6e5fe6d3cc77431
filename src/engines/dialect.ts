// What one kind of engine says and how to ask it. A dialect is pure: text in, facts out, no I/O.

import type { EngineGauges } from "./gauges.ts";
import type { IntentConstraint } from "./intent-constraint.ts";

/** What an engine's own health check claims; "unknown" where it has none. It can veto an endpoint, never praise it. */
export type HealthVerdict = "ok" | "unhealthy" | "unknown";

/** The SLA classes that an engine's own queue can tell apart. */
export type PriorityClass = "realtime" | "interactive" | "async";

/** The doors of an engine behind which tokens are made. */
export const inferencePaths = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings"] as const;
export type InferencePath = (typeof inferencePaths)[number];

/**
 * What a status says about the engine. The body of a client error goes to the caller byte for byte. As only a router
 * says: `late`, the time was over before there was an answer; `declined`, this request does not get through there.
 */
export type StatusVerdict =
  | "ok"
  | "client-error"
  | "busy"
  | "server-error"
  | "late"
  | "declined"
  | "over-share";

/** How answers to requests are read, and what is asked where they do not come. */
export interface AnswerDialect {
  /** What an error body says, for logs; undefined when it is not one of this engine's shapes. */
  readError(status: number, body: string): { readonly message: string } | undefined;
  /** `refused`: why the router before the engine answered in its place, where there is one and it did. */
  verdict(status: number, refused?: string): StatusVerdict;
  /** The cheapest question of a sort that only a working engine can answer: one token, over the whole path. */
  oneToken(path: InferencePath, model: string): string;
}

export interface Dialect extends AnswerDialect {
  /** The name in the configuration. */
  readonly kind: string;
  readonly health: {
    readonly path: string;
    read(status: number, body: string): HealthVerdict;
  };
  readonly models: {
    readonly path: string;
    /** Undefined when the answer is not a list of models. */
    read(status: number, body: string): readonly string[] | undefined;
  };
  readonly gauges?: {
    readonly path: string;
    /** Some engines hold the answer back until there is something to tell. */
    readonly timeoutMs: number;
    /** Never ask more often: the engine's figures are no newer, and making them costs it time. */
    readonly everyMs: number;
    /** Undefined when the answer holds no figure at all. */
    read(status: number, body: string): EngineGauges | undefined;
  };
  /** Sent with every inference request. */
  readonly requestHeaders: readonly (readonly [name: string, value: string])[];
  /** Figures that the engine puts into the head of its answers. */
  readonly loadHeader?: {
    readonly name: string;
    read(value: string): EngineGauges | undefined;
  };
  /** The body's `priority` member for a class, where the engine orders its queue by one. */
  priority?(sla: PriorityClass): number | undefined;
  /** How its answer is kept to a few letters, best way first; the last keeps it to nothing. */
  readonly intentConstraints: readonly [IntentConstraint, ...IntentConstraint[]];
}
