// Whether an answer may serve more than the one who asked for it.

import { repeatsName } from "../base/repeated-names.ts";
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
  readonly body: Uint8Array;
  readonly cacheControl: "no-store" | "no-cache" | undefined;
  /** What JSON.parse made of it. */
  readonly parsed: Readonly<Record<string, unknown>>;
}

/** Undefined: it is for its caller alone. */
export function reuseOf(facts: ReuseFacts): Reuse | undefined {
  const { sla, stream, body, cacheControl, parsed } = facts;
  // A request whose answer may not be kept cannot lend it to others on its way either.
  if (stream || cacheControl === "no-store" || body.length > keyedBytesMost) return undefined;
  if (parsed["temperature"] !== 0 && sla !== "async") return undefined;
  // An engine that takes the first of two answers another question than the one that the key would be of.
  if (repeatsName(body, parsed)) return undefined;
  return { parsed, takesKept: cacheControl === undefined };
}
