// Bodies in chunks: whatever is cut into chunks is the same when they are taken off, and noise in their place ends in a
// refusal or in a body, the same one however it is split.

import { ChunkedBody } from "../../../src/wire/chunked-body.ts";
import { defaultWireLimits } from "../../../src/wire/limits.ts";
import { piecesOf } from "../dice.ts";
import type { Target } from "../target.ts";
import { latin1Of, must } from "../target.ts";

function taken(pieces: readonly Uint8Array[]) {
  const chunked = new ChunkedBody(defaultWireLimits);
  let body = "";
  let bytes = 0;
  for (const piece of pieces) {
    const stopped = chunked.push(Buffer.from(piece), 0);
    if (chunked.body !== undefined) body += latin1Of(chunked.body);
    if (typeof stopped !== "number") return { body, ended: false, bytes, refused: stopped.why };
    bytes += stopped;
    must(chunked.ended || stopped === piece.length, "stopped before the end");
    if (chunked.ended) break;
  }
  return { body, ended: chunked.ended, bytes, refused: undefined };
}

/** By the grammar of RFC 9112, section 7.1, and our limits; what is there of a chunk counts. */
function simplyTaken(text: string): { readonly body: string; readonly ended: boolean } {
  let body = "";
  for (let rest = text; ; ) {
    const line = /^([0-9a-f]{1,12})(?:;[\t\x20-\x7e\x80-\xff]{0,256})?\r\n/i.exec(rest);
    if (line === null) return { body, ended: false };
    const size = Number.parseInt(line[1] ?? "", 16);
    rest = rest.slice(line[0].length);
    if (size === 0) {
      const trailers = /^(?:[!#$%&'*+\-.^_`|~\dA-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n/.exec(rest)?.[0];
      return { body, ended: trailers !== undefined && trailers.length <= defaultWireLimits.maxTrailerBytes };
    }
    body += rest.slice(0, size);
    if (!rest.startsWith("\r\n", size)) return { body, ended: false };
    rest = rest.slice(size + 2);
  }
}

export const chunks: Target = {
  name: "chunks",
  words: [
    "\r\n",
    "0\r\n\r\n",
    "0\r\n",
    ";a=b",
    "5\r\nhello\r\n",
    "ffffffffffff\r\n",
    "1000000000000\r\n",
    "x: y\r\n",
  ],
  generate: (dice) =>
    Buffer.from(
      `${dice.some(6, () => `${dice.int(30).toString(16)}\r\n${"h".repeat(dice.int(30))}\r\n`).join("")}0\r\n\r\n`,
    ),
  check(input, dice) {
    const framed = piecesOf(input, dice).flatMap((piece) => {
      const extension = dice.chance(0.2) ? dice.pick([";x=y", `;${"x".repeat(200)}`]) : "";
      return [Buffer.from(`${piece.length.toString(16)}${extension}\r\n`), piece, Buffer.from("\r\n")];
    });
    const trailer = dice.chance(0.2) ? "a: b\r\n" : "";
    const sent = Buffer.concat([...framed, Buffer.from(`0\r\n${trailer}\r\n`)]);
    const back = taken(piecesOf(Buffer.concat([sent, Buffer.from("EXTRA")]), dice));
    must(back.ended && back.body === latin1Of(input), "another body came back");
    must(back.bytes === sent.length, "the end is elsewhere");

    const whole = taken([input.slice()]);
    const parts = taken(piecesOf(input, dice));
    must(parts.body === whole.body, "another body in pieces");
    must(parts.refused === whole.refused, "refused another way in pieces");
    const simple = simplyTaken(latin1Of(input));
    must(simple.ended === whole.ended && simple.body === whole.body, "read otherwise by the grammar");
    return [whole.refused, whole.ended, Math.min(3, whole.body.length)].join();
  },
};
