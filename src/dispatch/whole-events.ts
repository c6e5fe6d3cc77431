// Lets only whole events of an event stream pass, so that an error event after a cut is not glued to half of another.
// Every byte passes in the end, in its order; only where they are parted changes.

import { asBuffer } from "../base/as-buffer.ts";

/** Longer than any event worth waiting for; beyond it bytes pass as they come. */
const heldBytesMost = 256 * 1024;

export interface WholeEvents {
  /** What may pass now: all that is held and this, up to the end of the last whole event. */
  push(chunk: Uint8Array): Uint8Array | undefined;
  /** What is still held. */
  rest(): Uint8Array | undefined;
}

export function createWholeEvents(): WholeEvents {
  let held: Uint8Array | undefined;

  const withHeld = (chunk: Uint8Array): Uint8Array => {
    const joined = held === undefined ? chunk : Buffer.concat([held, chunk]);
    held = undefined;
    return joined;
  };

  return {
    push(chunk) {
      const bytes = withHeld(chunk);
      const end = lastEventEnd(bytes);
      if (end === bytes.length || bytes.length > heldBytesMost) return bytes;
      held = bytes.subarray(end);
      return end === 0 ? undefined : bytes.subarray(0, end);
    },
    rest() {
      const left = held;
      held = undefined;
      return left;
    },
  };
}

const lineFeed = 0x0a;
const carriageReturn = 0x0d;
const bareEnd = Buffer.from("\r\r");

/** Behind the last blank line; 0 where there is none. Lines end with LF, CRLF or, though nobody does it, CR. */
function lastEventEnd(bytes: Uint8Array): number {
  let at = bytes.lastIndexOf(lineFeed);
  if (at < 0) {
    const end = asBuffer(bytes).lastIndexOf(bareEnd);
    return end < 0 ? 0 : end + bareEnd.length;
  }
  while (at > 0) {
    const before = bytes[at - 1] === carriageReturn ? at - 2 : at - 1;
    if (before >= 0 && bytes[before] === lineFeed) return at + 1;
    at = bytes.lastIndexOf(lineFeed, at - 1);
  }
  return 0;
}
