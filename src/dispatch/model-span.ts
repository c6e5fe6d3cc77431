// Finds the value of the top-level `model` in a JSON body, so that it can be replaced without touching another byte.

import { asBuffer } from "../base/as-buffer.ts";

/** Half-open, quotes included: [start, end). */
export interface ByteSpan {
  readonly start: number;
  readonly end: number;
}

const key = Buffer.from('"model"');
const escapeMark = Buffer.from("\\u");
const quote = 0x22;
const backslash = 0x5c;
const colon = 0x3a;

/**
 * `body` is valid JSON, an object with a top-level `model` that is a string. Where the key stands twice, the last one
 * counts, as it did for whoever has read the body here.
 */
export function modelSpan(body: Uint8Array): ByteSpan | undefined {
  const bytes = asBuffer(body);
  const first = bytes.indexOf(key);
  // One occurrence, and no way to spell the key otherwise: it can only be the top-level one. Native search is ten
  // times faster than walking.
  if (first >= 0 && bytes.indexOf(key, first + key.length) < 0 && bytes.indexOf(escapeMark) < 0) {
    return valueAfter(bytes, first + key.length);
  }
  return walk(bytes);
}

function valueAfter(bytes: Buffer, afterKey: number): ByteSpan | undefined {
  const at = skipSpace(bytes, afterKey);
  if (bytes[at] !== colon) return undefined;
  const start = skipSpace(bytes, at + 1);
  return bytes[start] === quote ? { start, end: stringEnd(bytes, start) } : undefined;
}

/** Reads the keys at depth one and skips everything else. */
function walk(bytes: Buffer): ByteSpan | undefined {
  let found: ByteSpan | undefined;
  let depth = 0;
  for (let at = 0; at < bytes.length; at += 1) {
    const byte = bytes[at];
    if (byte === 0x7b || byte === 0x5b) depth += 1;
    else if (byte === 0x7d || byte === 0x5d) depth -= 1;
    else if (byte === quote) {
      const end = stringEnd(bytes, at);
      const isKey = depth === 1 && bytes[skipSpace(bytes, end)] === colon;
      if (isKey && JSON.parse(bytes.toString("utf8", at, end)) === "model")
        found = valueAfter(bytes, end) ?? found;
      at = end - 1;
    }
  }
  return found;
}

/** `start` is at the opening quote; the answer is behind the closing one. */
function stringEnd(bytes: Buffer, start: number): number {
  let at = start + 1;
  while (at < bytes.length && bytes[at] !== quote) at += bytes[at] === backslash ? 2 : 1;
  return at + 1;
}

function skipSpace(bytes: Buffer, from: number): number {
  let at = from;
  while (at < bytes.length && (bytes[at] ?? quote) <= 0x20) at += 1;
  return at;
}
