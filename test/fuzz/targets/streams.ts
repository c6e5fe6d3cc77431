// Event streams on their way to a caller: no byte is lost, none is added, and what an error event ends is the same
// however the engine's bytes come.

import { createStreamGuard } from "../../../src/dispatch/stream-guard.ts";
import { createWholeEvents } from "../../../src/dispatch/whole-events.ts";
import type { Dice } from "../dice.ts";
import { piecesOf } from "../dice.ts";
import type { Target } from "../target.ts";
import { latin1Of, must } from "../target.ts";

const events = [
  'data: {"choices":[{"delta":{"content":"a"},"finish_reason":null}]}',
  'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}',
  'data: {"choices":[{"delta":{"content":"[DONE]"}}]}',
  'data: {"choices":[{"delta":{"content":"\\"error\\""}}]}',
  'data: {"usage":{"prompt_tokens": 3, "completion_tokens": 5}}',
  'data: {"error":{"message":"x"}}',
  'data: {"object":"error","message":"x"}',
  "data: [DONE]",
  "data:[DONE]",
  ": ping",
  "event: x\ndata: y",
  "",
] as const;

function generate(dice: Dice): Uint8Array {
  const eol = dice.pick(["\n", "\n", "\n", "\r\n", "\r"]);
  return Buffer.from(
    dice.some(10, () => `${dice.pick(events)}${eol}${dice.chance(0.95) ? eol : ""}`).join(""),
  );
}

function relayed(pieces: readonly Uint8Array[]) {
  const whole = createWholeEvents();
  const guard = createStreamGuard();
  let passed = "";
  const feed = (part: Uint8Array): boolean => {
    const most = guard.feed(part);
    must(most === undefined || (most >= 0 && most <= part.length), "more passes than there is");
    passed += latin1Of(most === undefined ? part : part.subarray(0, most));
    return most !== undefined;
  };
  for (const piece of pieces) {
    const part = whole.push(piece);
    if (part !== undefined && feed(part))
      return { passed, failed: true, ended: guard.ended(), usage: guard.usage() };
  }
  const rest = whole.rest();
  const failed = rest !== undefined && feed(rest);
  return { passed, failed, ended: guard.ended(), usage: guard.usage() };
}

export const streams: Target = {
  name: "streams",
  generate,
  words: [
    "\n\n",
    "\r\n\r\n",
    "\r\r",
    "data: ",
    "data:",
    '{"error"',
    "[DONE]",
    '"finish_reason":"stop"',
    '"error"',
    '"usage"',
    '"prompt_tokens":1',
    ...events,
  ],
  check(input, dice) {
    const whole = relayed([input.slice()]);
    const parts = relayed(piecesOf(input, dice));
    if (!whole.failed) must(whole.passed === latin1Of(input), "bytes were lost");
    must(latin1Of(input).startsWith(parts.passed), "bytes were changed");
    // Lines may end in LF, CRLF or CR. A stream that mixes them is nobody's, and may be parted otherwise.
    const text = latin1Of(input);
    const isMixed = /\r(?!\n)/.test(text) && text.includes("\n");
    if (!isMixed) {
      must(whole.failed === parts.failed && whole.passed === parts.passed, "another end in pieces");
      must(whole.ended === parts.ended, "ended properly one way only");
    }
    return [whole.failed, whole.ended, whole.usage?.prompt, text.includes("\r"), text.length > 0].join();
  },
};
