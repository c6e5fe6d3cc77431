// Whether an answer may serve more than the one who asked for it.

import type { SlaClass } from "../routing/sla.ts";

/** Keys are made of whole bodies: of a larger one that would hold up everybody else for milliseconds. */
const keyedBytesMost = 1024 * 1024;

export interface Reuse {
  /** The caller's body, parsed. */
  readonly parsed: Readonly<Record<string, unknown>>;
  /** Whether another's answer, kept or on its way, will do for this request. */
  readonly takesKept: boolean;
}

/** What of a request decides whether its answer may be used again. */
export interface ReuseFacts {
  readonly sla: SlaClass;
  readonly stream: boolean;
  readonly bodyBytes: number;
  readonly cacheControl: "no-store" | "no-cache" | undefined;
  readonly parsed: Readonly<Record<string, unknown>>;
}

/** Undefined: it is for its caller alone. */
export function reuseOf(facts: ReuseFacts): Reuse | undefined {
  const { sla, stream, bodyBytes, cacheControl, parsed } = facts;
  // A request whose answer may not be kept cannot lend it to others on its way either.
  if (stream || cacheControl === "no-store" || bodyBytes > keyedBytesMost) return undefined;
  if (parsed["temperature"] !== 0 && sla !== "async") return undefined;
  return { parsed, takesKept: cacheControl === undefined };
}
