// Whether JSON names a member of an object twice. Parsers differ in what they make of it: most take the last, some the
// first, some both together.

import { asBuffer } from "./as-buffer.ts";
import { isRecord } from "./is-record.ts";
import { endOfString } from "./nesting.ts";

/** `parsed`: what JSON.parse made of the text, and then an object has as many members as names that differ. */
export const repeatsName = (json: Uint8Array, parsed: unknown): boolean =>
  // Quotes, backslashes and colons are single bytes in UTF-8, and part of nothing else.
  namesIn(asBuffer(json).toString("latin1")) !== membersIn(parsed);

/** Outside of strings there is a colon behind each name, and nowhere else. */
function namesIn(text: string): number {
  let names = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === quote) at = endOfString(text, at);
    else if (code === colon) names += 1;
  }
  return names;
}

/** However deep: no stack is exhausted by it. */
function membersIn(value: unknown): number {
  let members = 0;
  const left = [value];
  while (left.length > 0) {
    const next = left.pop();
    if (Array.isArray(next)) for (const part of next) left.push(part);
    else if (isRecord(next))
      for (const name in next) {
        members += 1;
        if (typeof next[name] === "object") left.push(next[name]);
      }
  }
  return members;
}

const quote = 0x22;
const colon = 0x3a;
