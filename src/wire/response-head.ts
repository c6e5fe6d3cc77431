// Reads the header section of an answer and decides how its body is delimited. Pure.
//
// Strict on purpose: whatever two parsers could read in two ways is refused, because a router that
// guesses where an answer ends hands one player's answer to another.

import type { WireLimits } from "./limits.ts";
import type { WireErrorCode } from "./wire-error.ts";

/** Why an answer is not accepted. */
export interface Refusal {
  readonly refused: Extract<WireErrorCode, "malformed" | "too-large">;
  readonly why: string;
}

/** Header fields, names in lower case, in the order they came. */
export interface WireHeaders {
  /** The first value of that name, which is given in lower case. */
  get(name: string): string | undefined;
  readonly entries: readonly (readonly [name: string, value: string])[];
}

/** How the end of a body is known. `close` means by the connection's end, which a cut looks like, too. */
export type Delimited = "length" | "chunked" | "close";

export interface ResponseHead {
  readonly status: number;
  readonly headers: WireHeaders;
  readonly delimited: Delimited;
  /** Bytes of the body where `delimited` is `length`, else 0. */
  readonly length: number;
  /** The upstream is willing to answer another request on this connection. */
  readonly keepAlive: boolean;
}

/**
 * The whole grammar in one expression: the status line, then field lines. It leaves no room for a bare CR
 * or LF, a NUL, a folded line, or a space before the colon.
 */
const headGrammar =
  /^HTTP\/1\.[01] [1-9]\d\d(?: [\t\x20-\x7e\x80-\xff]*)?(?:\r\n[!#$%&'*+\-.^_`|~\dA-Za-z]+:[\t\x20-\x7e\x80-\xff]*)*$/;

const decimal = /^\d{1,15}$/;

/** `block` is the section as latin1, without the empty line that ends it. `method` is the request's. */
export function parseHead(block: string, method: string, limits: WireLimits): ResponseHead | Refusal {
  const statusLineEnd = block.indexOf("\r\n");
  if ((statusLineEnd < 0 ? block.length : statusLineEnd) > limits.maxStatusLineBytes) {
    return tooLarge("status line");
  }
  if (!headGrammar.test(block)) return malformed("header section");

  const entries: [string, string][] = [];
  let length: string | undefined;
  let coding: string | undefined;
  let connection: string | undefined;
  let lineStart = statusLineEnd < 0 ? block.length : statusLineEnd + 2;
  while (lineStart < block.length) {
    let lineEnd = block.indexOf("\r\n", lineStart);
    if (lineEnd < 0) lineEnd = block.length;
    const colon = block.indexOf(":", lineStart);
    const name = block.slice(lineStart, colon).toLowerCase();
    const value = trimBlanks(block, colon + 1, lineEnd);
    switch (name) {
      case "content-length":
        if (length !== undefined) return malformed("two content-lengths");
        length = value;
        break;
      case "transfer-encoding":
        if (coding !== undefined) return malformed("two transfer-encodings");
        coding = value;
        break;
      case "connection":
        connection = connection === undefined ? value : `${connection},${value}`;
        break;
    }
    if (entries.push([name, value]) > limits.maxHeaders) return tooLarge("number of headers");
    lineStart = lineEnd + 2;
  }

  if (length !== undefined && !decimal.test(length)) return malformed("content-length");
  const oldVersion = block.charCodeAt("HTTP/1.".length) === 0x30;
  if (coding !== undefined) {
    if (length !== undefined) return malformed("both content-length and transfer-encoding");
    if (oldVersion) return malformed("transfer-encoding in HTTP/1.0");
    if (coding.toLowerCase() !== "chunked") return malformed("transfer-encoding");
  }

  const status = Number(block.slice("HTTP/1.x ".length, "HTTP/1.x 200".length));
  const bodiless = method === "HEAD" || status < 200 || status === 204 || status === 304;
  let delimited: Delimited = "length";
  if (!bodiless && coding !== undefined) delimited = "chunked";
  else if (!bodiless && length === undefined) delimited = "close";
  return {
    status,
    headers: headersOf(entries),
    delimited,
    length: bodiless || length === undefined ? 0 : Number(length),
    keepAlive: delimited !== "close" && staysOpen(connection, oldVersion),
  };
}

export const malformed = (what: string): Refusal => ({ refused: "malformed", why: `malformed ${what}` });

export const tooLarge = (what: string): Refusal => ({ refused: "too-large", why: `${what} over its limit` });

/** One regular expression for lines that are not part of a head: a trailer's. */
export const isFieldLine = (line: string): boolean =>
  /^[!#$%&'*+\-.^_`|~\dA-Za-z]+:[\t\x20-\x7e\x80-\xff]*$/.test(line);

function headersOf(entries: readonly (readonly [string, string])[]): WireHeaders {
  return {
    entries,
    get(name) {
      for (const entry of entries) if (entry[0] === name) return entry[1];
      return undefined;
    },
  };
}

function staysOpen(connection: string | undefined, oldVersion: boolean): boolean {
  if (connection === undefined) return !oldVersion;
  const options = connection.toLowerCase().split(",");
  const has = (option: string): boolean => options.some((each) => each.trim() === option);
  return oldVersion ? has("keep-alive") && !has("close") : !has("close");
}

function trimBlanks(text: string, from: number, to: number): string {
  let start = from;
  let end = to;
  while (start < end && isBlank(text.charCodeAt(start))) start += 1;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end -= 1;
  return text.slice(start, end);
}

const isBlank = (code: number): boolean => code === 0x20 || code === 0x09;
