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
      const extension = dice.chance(0.2) ? ";x=y" : "";
      return [Buffer.from(`${piece.length.toString(16)}${extension}\r\n`), piece, Buffer.from("\r\n")];
    });
    const trailer = dice.chance(0.2) ? "a: b\r\n" : "";
    const sent = Buffer.concat([...framed, Buffer.from(`0\r\n${trailer}\r\n`)]);
    const back = taken(piecesOf(Buffer.concat([sent, Buffer.from("EXTRA")]), dice));
    must(back.ended && back.body === latin1Of(input), "another body came back");
    must(back.bytes === sent.length, "the end is elsewhere");

    const whole = taken([input.slice()]);
    must(Bun.deepEquals(taken(piecesOf(input, dice)).body, whole.body), "another body in pieces");
    must(taken(piecesOf(input, dice)).refused === whole.refused, "refused another way in pieces");
    return [whole.refused, whole.ended, Math.min(3, whole.body.length)].join();
  },
};
