// Watches the events of a stream as they pass, without parsing them: did the engine report an error in band, and did
// the stream come to a proper end? It never changes a byte. Searches are native, because this runs for every event.

import { asBuffer } from "../base/as-buffer.ts";
import type { TokenUsage } from "./token-usage.ts";
import { usageIn } from "./token-usage.ts";

export interface StreamGuard {
  /**
   * `events` are whole, so that no mark stands across a border. Undefined: all of it may pass. Else an error event
   * is among them, and only so many bytes, up to its end, may pass.
   */
  feed(events: Uint8Array): number | undefined;
  /** Whether the stream may end here: `[DONE]`, or a finish reason from engines that never say it. */
  ended(): boolean;
  /** From the last event that carried it. */
  usage(): TokenUsage | undefined;
}

const anyError = Buffer.from('"error"');
/** The second shape is TensorRT-LLM's. */
const errorMarks = ['{"error"', '{ "error"', '{"object":"error"', '{"object": "error"'].map((mark) =>
  Buffer.from(mark),
);
const doneMark = Buffer.from("[DONE]");
// Quotes inside a model's own words are escaped, so these can only be the engine's.
const finishMarks = ['"finish_reason":"', '"finish_reason": "', '"finish_reason" : "'].map((mark) =>
  Buffer.from(mark),
);
const usageMark = Buffer.from('"usage"');
const eventEnd = /\r?\n\r?\n|\r\r/;
const fieldStart = /(?:^|[\n\r])data: ?$/;
const longestFieldStart = 8;
/** Where the usage is looked for in what passes. */
const usageBytes = 1024;

export function createStreamGuard(): StreamGuard {
  let proper = false;
  let usage: TokenUsage | undefined;

  return {
    feed(events) {
      const bytes = asBuffer(events);
      const error = bytes.includes(anyError) ? firstError(bytes) : -1;
      if (error >= 0) {
        proper = false;
        const end = eventEnd.exec(bytes.toString("latin1", error));
        return end === null ? bytes.length : error + end.index + end[0].length;
      }
      proper ||= finishMarks.some((mark) => bytes.includes(mark)) || dataIndexOf(bytes, doneMark) >= 0;
      if (bytes.includes(usageMark))
        usage = usageIn(bytes.toString("latin1", Math.max(0, bytes.length - usageBytes))) ?? usage;
      return undefined;
    },
    ended: () => proper,
    usage: () => usage,
  };
}

function firstError(bytes: Buffer): number {
  const places = errorMarks.map((mark) => dataIndexOf(bytes, mark)).filter((at) => at >= 0);
  return places.length === 0 ? -1 : Math.min(...places);
}

/** Where data begins with the mark; -1 where none does. Elsewhere it may stand in a model's own words. */
function dataIndexOf(bytes: Buffer, mark: Buffer): number {
  let at = bytes.indexOf(mark);
  while (at >= 0 && !fieldStart.test(bytes.toString("latin1", Math.max(0, at - longestFieldStart), at))) {
    at = bytes.indexOf(mark, at + 1);
  }
  return at;
}
