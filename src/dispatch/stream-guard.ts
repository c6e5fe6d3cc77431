// Watches a server-sent-event stream as it passes, without parsing it: did the engine report an error in band,
// and did the stream come to a proper end? It never changes a byte.

import type { TokenUsage } from "./token-usage.ts";
import { usageIn } from "./token-usage.ts";

export interface StreamGuard {
  /** Undefined: pass the chunk on. Else an error event ends in it, and only so many of its bytes may pass. */
  feed(chunk: Uint8Array): number | undefined;
  /** Whether the stream may end here: `[DONE]`, or a finish reason from engines that never say it. */
  ended(): boolean;
  /** From the last chunk that carried it. */
  usage(): TokenUsage | undefined;
}

/** Long enough for any mark to be seen across the border of two chunks. */
const carryBytes = 32;
/** Quotes inside a model's own words are escaped, so these can only be the engine's. */
const errorMark = /[\n\r]data: ?\{"error"/;
const eventEnd = /\r?\n\r?\n|\r\r/;
const properMark = /[\n\r]data: ?\[DONE\]|"finish_reason": ?"/;
/** Where the last chunk's usage is looked for. */
const usageBytes = 1024;

export function createStreamGuard(): StreamGuard {
  // A stream begins as if a line had ended; `^` would take the place where the carry was cut for one.
  let carry = "\n";
  let proper = false;
  let failing = false;
  let usage: TokenUsage | undefined;

  return {
    feed(chunk) {
      // Latin-1 keeps one character a byte, so that a place in the text is a place in the chunk.
      const text = carry + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString("latin1");
      const carried = carry.length;
      let from = 0;
      if (!failing && text.includes('{"error"')) {
        const error = errorMark.exec(text);
        failing = error !== null;
        // The line break before the event is not its end.
        from = (error?.index ?? 0) + 1;
      }
      carry = text.slice(Math.max(from, text.length - carryBytes));
      if (failing) {
        const end = eventEnd.exec(text.slice(from));
        return end === null ? undefined : Math.max(0, from + end.index + end[0].length - carried);
      }
      proper ||= properMark.test(text);
      if (text.includes('"usage"')) usage = usageIn(text.slice(-usageBytes)) ?? usage;
      return undefined;
    },
    ended: () => proper && !failing,
    usage: () => usage,
  };
}
