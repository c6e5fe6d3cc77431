// Answers of an engine: they are read the same however they are split, and nothing that comes out of a head could be
// taken for another header.

import { defaultWireLimits } from "../../../src/wire/limits.ts";
import type { ResponseHead } from "../../../src/wire/response-head.ts";
import { ResponseParser } from "../../../src/wire/response-parser.ts";
import type { Dice } from "../dice.ts";
import { piecesOf } from "../dice.ts";
import type { Target } from "../target.ts";
import { latin1Of, must } from "../target.ts";

const limits = { ...defaultWireLimits, maxHeaderBytes: 4_096, maxHeaders: 32, maxTrailerBytes: 256 };
const names = [
  "content-length",
  "transfer-encoding",
  "connection",
  "content-type",
  "x",
  "set-cookie",
] as const;
const values = ["0", "5", "10", "chunked", "close", "keep-alive", "a, b", "", "gzip", "\t x "] as const;

function generate(dice: Dice): Uint8Array {
  const eol = (): string => (dice.chance(0.98) ? "\r\n" : dice.pick(["\n", "\r", "\r\r\n"]));
  const field = (): string => `${dice.pick(names)}:${dice.pick(["", " "])}${dice.pick(values)}${eol()}`;
  const status = dice.pick([
    "200 OK",
    "200",
    "100 Continue",
    "103 Hints",
    "204 No",
    "304 Not",
    "502 Bad",
    "101 Up",
    "999 x",
  ]);
  const line = `HTTP/1.${dice.chance(0.9) ? 1 : 0} ${status}${eol()}`;
  const interim = dice.chance(0.1) ? `HTTP/1.1 100 Continue${eol()}${eol()}` : "";
  const isChunked = dice.chance(0.5);
  const framing = isChunked
    ? `transfer-encoding: chunked${eol()}`
    : dice.chance(0.8)
      ? `content-length: ${dice.int(20)}${eol()}`
      : "";
  const chunk = (): string => {
    const length = dice.int(20);
    const size = dice.chance(0.95)
      ? length.toString(16)
      : dice.pick(["-1", "0x5", "", "fffffffffffff", " 5"]);
    return `${size}${dice.chance(0.1) ? ";a=b" : ""}${eol()}${"y".repeat(length)}${eol()}`;
  };
  const end = `0${eol()}${dice.chance(0.1) ? field() : ""}${eol()}`;
  const body = isChunked ? `${dice.some(5, chunk).join("")}${end}` : "z".repeat(dice.int(25));
  const extra = dice.chance(0.1) ? "HTTP/1.1 200 OK\r\n" : "";
  return Buffer.from(
    `${interim}${line}${framing}${dice.some(4, field).join("")}${eol()}${body}${extra}`,
    "latin1",
  );
}

interface Read {
  heads: ResponseHead[];
  body: string;
  ended: boolean | undefined;
  refused: string | undefined;
}

/** Like a connection: nobody listens any more once the answer has ended. */
function read(method: string, pieces: readonly Uint8Array[]): Read {
  const seen: Read = { heads: [], body: "", ended: undefined, refused: undefined };
  const parser = new ResponseParser(method, limits, {
    head: (head) => void seen.heads.push(head),
    body(chunk) {
      must(seen.heads.length === 1 && seen.ended === undefined, "a body out of turn");
      must(chunk.length > 0, "an empty piece of a body");
      seen.body += latin1Of(chunk);
    },
    end(reusable) {
      must(seen.ended === undefined, "an answer that ends twice");
      seen.ended = reusable;
    },
  });
  for (const piece of pieces) {
    seen.refused = parser.push(Buffer.from(piece))?.refused;
    if (seen.refused !== undefined || seen.ended !== undefined) return seen;
  }
  if (parser.finish()) must(seen.ended === false, "the end of the connection leaves it usable");
  return seen;
}

export const responses: Target = {
  name: "responses",
  generate,
  words: [
    "\r\n",
    "\r\n\r\n",
    "HTTP/1.1 200 OK\r\n",
    "transfer-encoding: chunked\r\n",
    "content-length: 5\r\n",
    "0\r\n\r\n",
    "ffffffffffff\r\n",
    "connection: close\r\n",
    ";",
    "HTTP/1.1 100 Continue\r\n\r\n",
  ],
  check(input, dice) {
    const method = dice.pick(["POST", "GET", "HEAD"]);
    const whole = read(method, [input.slice()]);
    const parts = read(method, piecesOf(input, dice));
    const [head] = whole.heads;
    must(Bun.deepEquals(headText(parts.heads[0]), headText(head)), "another head in pieces");
    must(whole.body === parts.body, "another body in pieces");
    must((whole.ended === undefined) === (parts.ended === undefined), "another end in pieces");
    must(!(whole.ended === true && parts.ended === false), "usable again as a whole only");
    if (parts.ended === undefined)
      must((whole.refused === undefined) === (parts.refused === undefined), "refused one way only");
    if (whole.ended === true) {
      const more = read(method, [Buffer.concat([input, Buffer.of(0)])]);
      must(more.ended === false, "usable again with bytes beyond the end");
    }
    if (head !== undefined) {
      must(head.status >= 200 && head.status <= 999, "a status out of range");
      must(head.headers.entries.length <= limits.maxHeaders, "too many headers");
      for (const [name, value] of head.headers.entries) {
        must(/^[!#$%&'*+.^_`|~0-9a-z-]+$/.test(name), "a name that is none");
        must(!/[\0\r\n]/.test(value), "a value with a line end");
      }
      if (head.delimited === "length" && whole.ended !== undefined)
        must(whole.body.length === head.length, "another length");
    }
    return [
      whole.refused,
      head?.status,
      head?.delimited,
      head?.keepAlive,
      whole.ended,
      whole.body.length > 0,
      head?.headers.entries.length,
    ].join();
  },
};

const headText = (head: ResponseHead | undefined): unknown =>
  head && { ...head, headers: head.headers.entries };
