// Takes the chunk framing off a body. Extensions and trailers are checked, bounded and dropped.

import type { WireLimits } from "./limits.ts";
import type { Refusal } from "./response-head.ts";
import { isFieldLine, malformed, tooLarge } from "./response-head.ts";

type Place = "size" | "extension" | "size-lf" | "data" | "data-cr" | "data-lf" | "trailer";

const cr = 0x0d;
const lf = 0x0a;
const semicolon = 0x3b;

/** Twelve hexadecimal digits stay below 2⁵³. */
const maxSizeDigits = 12;

export class ChunkedBody {
  /** What the last `push` yielded. */
  body: Buffer | undefined;
  /** The last chunk and the trailers have been read. */
  ended = false;

  readonly #limits: WireLimits;
  #place: Place = "size";
  /** Bytes still to come of the chunk, or its size while that is being read. */
  #left = 0;
  #sizeDigits = 0;
  #extensionBytes = 0;
  #trailerBytes = 0;
  #trailerLine = "";

  constructor(limits: WireLimits) {
    this.#limits = limits;
  }

  /**
   * Reads `bytes` from `at` on and returns where it stopped, which is short of the end only once `ended`.
   * Several chunks in one arrival become one `body`: they are moved together inside `bytes`, so that the
   * reader has one piece to relay and nothing is allocated.
   */
  push(bytes: Buffer, at: number): number | Refusal {
    let position = at;
    let bodyStart = 0;
    let bodyEnd = 0;
    let refusal: Refusal | undefined;
    while (position < bytes.length && !this.ended && refusal === undefined) {
      if (this.#place === "data") {
        const take = Math.min(this.#left, bytes.length - position);
        if (bodyEnd === 0) bodyStart = bodyEnd = position;
        else bytes.copyWithin(bodyEnd, position, position + take);
        bodyEnd += take;
        position += take;
        this.#left -= take;
        if (this.#left === 0) this.#place = "data-cr";
      } else {
        refusal = this.#framing(bytes[position] ?? 0);
        position += 1;
      }
    }
    this.body = bodyEnd > bodyStart ? bytes.subarray(bodyStart, bodyEnd) : undefined;
    return refusal ?? position;
  }

  #framing(byte: number): Refusal | undefined {
    switch (this.#place) {
      case "size":
        return this.#size(byte);
      case "extension":
        return this.#extension(byte);
      case "size-lf":
        if (byte !== lf) return malformed("chunk size line");
        this.#place = this.#left === 0 ? "trailer" : "data";
        return undefined;
      case "data-cr":
        if (byte !== cr) return malformed("end of a chunk");
        this.#place = "data-lf";
        return undefined;
      case "data-lf":
        if (byte !== lf) return malformed("end of a chunk");
        this.#place = "size";
        this.#sizeDigits = 0;
        this.#extensionBytes = 0;
        return undefined;
      default:
        return this.#trailer(byte);
    }
  }

  #size(byte: number): Refusal | undefined {
    const digit = hexDigit(byte);
    if (digit >= 0) {
      this.#sizeDigits += 1;
      if (this.#sizeDigits > maxSizeDigits) return malformed("chunk size");
      this.#left = this.#left * 16 + digit;
      return undefined;
    }
    if (this.#sizeDigits === 0) return malformed("chunk size");
    if (byte === cr) this.#place = "size-lf";
    else if (byte === semicolon) this.#place = "extension";
    else return malformed("chunk size");
    return undefined;
  }

  #extension(byte: number): Refusal | undefined {
    if (byte === cr) {
      this.#place = "size-lf";
      return undefined;
    }
    if (isControl(byte)) return malformed("chunk extension");
    this.#extensionBytes += 1;
    return this.#extensionBytes > this.#limits.maxChunkExtensionBytes
      ? tooLarge("chunk extension")
      : undefined;
  }

  #trailer(byte: number): Refusal | undefined {
    this.#trailerBytes += 1;
    if (this.#trailerBytes > this.#limits.maxTrailerBytes) return tooLarge("trailer section");
    if (byte !== lf) {
      this.#trailerLine += String.fromCharCode(byte);
      return undefined;
    }
    const line = this.#trailerLine;
    this.#trailerLine = "";
    if (line === "\r") this.ended = true;
    else if (!line.endsWith("\r") || !isFieldLine(line.slice(0, -1))) return malformed("trailer section");
    return undefined;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x61 + 10 : -1;
}

const isControl = (byte: number): boolean => (byte < 0x20 && byte !== 0x09) || byte === 0x7f;
