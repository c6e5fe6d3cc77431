// The request of a job with another model's name in it; every other byte stays the caller's.

import { asBuffer } from "../base/as-buffer.ts";
import { modelSpan } from "../dispatch/model-span.ts";

/** `body` is valid JSON and an object; `before` is its top-level `model`, undefined where it has none. */
export function named(body: Uint8Array, before: string | undefined, model: string): Uint8Array {
  if (before === model) return body;
  const bytes = asBuffer(body);
  const value = Buffer.from(JSON.stringify(model));
  if (before !== undefined) {
    const span = modelSpan(body);
    if (span === undefined) return body;
    return Buffer.concat([bytes.subarray(0, span.start), value, bytes.subarray(span.end)]);
  }
  const afterBrace = bytes.indexOf("{") + 1;
  const isEmpty = /^\s*\}/.test(bytes.toString("latin1", afterBrace));
  const member = Buffer.concat([Buffer.from('"model":'), value, Buffer.from(isEmpty ? "" : ",")]);
  return Buffer.concat([bytes.subarray(0, afterBrace), member, bytes.subarray(afterBrace)]);
}
