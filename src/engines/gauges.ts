// An engine's own figures. They are seconds old when they come, so they only ever correct our own counts.

/** An absent field is unknown, never zero: an engine that hides its statistics must not look idle. */
export interface EngineGauges {
  /** Requests being worked on. */
  readonly running?: number | undefined;
  /** Requests in the engine's own queue. */
  readonly waiting?: number | undefined;
  /** How full the KV cache is, 0-1. */
  readonly kvUsage?: number | undefined;
  /** Tokens generated since the engine started: moves while it is alive, falls when it was restarted. */
  readonly generatedTokens?: number | undefined;
}

/** Undefined when there is not one figure in it. */
export function unlessEmpty(gauges: EngineGauges): EngineGauges | undefined {
  return Object.values(gauges).some((value) => value !== undefined) ? gauges : undefined;
}
