// The guard over a stream: whatever the pieces in which it comes, the verdict is the same.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createStreamGuard } from "../../src/dispatch/stream-guard.ts";
import { createWholeEvents } from "../../src/dispatch/whole-events.ts";
import { recording } from "../support/recording.ts";

interface Verdict {
  /** Bytes of the stream that may pass when an error event was seen. */
  readonly cut: number | undefined;
  readonly ended: boolean;
}

/** As the relay does: the guard sees whole events, and at the end what is left. */
function judge(pieces: readonly Uint8Array[]): Verdict {
  const guard = createStreamGuard();
  const events = createWholeEvents();
  let passed = 0;
  for (const piece of pieces) {
    const ready = events.push(piece);
    if (ready === undefined) continue;
    const cut = guard.feed(ready);
    if (cut !== undefined) return { cut: passed + cut, ended: guard.ended() };
    passed += ready.length;
  }
  const rest = events.rest();
  if (rest !== undefined) guard.feed(rest);
  return { cut: undefined, ended: guard.ended() };
}

const whole = (text: string): Verdict => judge([Buffer.from(text)]);
const byteByByte = (text: string): Verdict =>
  judge([...Buffer.from(text)].map((byte) => Uint8Array.of(byte)));

const delta = (content: string, finish: string | null = null): string =>
  `data: ${JSON.stringify({ choices: [{ delta: { content }, finish_reason: finish }] })}`;
const done = "data: [DONE]";
const failure = 'data: {"error":{"message":"EngineCore encountered an issue","code":500}}';

describe("the stream guard", () => {
  for (const [title, break_] of [
    ["LF", "\n\n"],
    ["CRLF", "\r\n\r\n"],
  ] as const) {
    const stream = (...events: string[]): string => events.map((event) => event + break_).join("");

    describe(`with ${title}`, () => {
      for (const judged of [whole, byteByByte]) {
        test(`lets a stream with [DONE] end, and one without not (${judged.name})`, () => {
          expect(judged(stream(delta("a"), done))).toEqual({ cut: undefined, ended: true });
          expect(judged(stream(delta("a")))).toEqual({ cut: undefined, ended: false });
          expect(judged("")).toEqual({ cut: undefined, ended: false });
        });

        test(`lets a stream with a finish reason end, for engines that never say [DONE] (${judged.name})`, () => {
          expect(judged(stream(delta("a", "stop"))).ended).toBe(true);
          expect(judged(stream('data: {"finish_reason": "length"}')).ended).toBe(true);
          expect(judged(stream('data: {"finish_reason": null}')).ended).toBe(false);
        });

        test(`lets the error event pass and nothing after it, not even [DONE] (${judged.name})`, () => {
          const before = stream(delta("a"), failure);
          expect(judged(before + stream(done))).toEqual({ cut: before.length, ended: false });
          expect(judged(stream(failure))).toEqual({ cut: stream(failure).length, ended: false });
        });

        test(`does not let a stream end that was cut within its error event (${judged.name})`, () => {
          expect(judged(stream(delta("a", "stop")) + failure)).toEqual({ cut: undefined, ended: false });
        });

        test(`is not taken in by a model that talks of errors and endings (${judged.name})`, () => {
          const words = 'data: {"error"\n\ndata: {"error": [DONE]\ndata: [DONE]\n "finish_reason": "stop"';
          expect(judged(stream(delta(words)))).toEqual({ cut: undefined, ended: false });
        });

        test(`is not taken in by a comment or another field with such text (${judged.name})`, () => {
          for (const field of [": keep-alive ", "id: ", "event: x", ""]) {
            const text = stream(`${field} data: {"error":"no"} data: [DONE]`, delta("a"));
            expect([field, judged(text)]).toEqual([field, { cut: undefined, ended: false }]);
          }
        });
      }
    });
  }

  test("judges a stream alike in whatever pieces it comes, multi-byte characters and all", () => {
    const words = fc.oneof(
      fc.string({ unit: "grapheme", maxLength: 20 }),
      fc.constantFrom(
        'data: {"error"',
        "data: [DONE]",
        '\n\ndata: {"error":',
        '"finish_reason": "stop"',
        "ÿ💥",
      ),
    );
    const event = fc.oneof(
      { weight: 6, arbitrary: words.map((text) => delta(text)) },
      { weight: 1, arbitrary: words.map((text) => delta(text, "stop")) },
      { weight: 1, arbitrary: fc.constantFrom(done, 'data:{"error":"flat"}', failure) },
      { weight: 1, arbitrary: fc.constantFrom(": ping", ': data: {"error":1}', ": x data: [DONE]") },
    );
    const cuts = fc.array(fc.nat(2000), { maxLength: 30 });
    fc.assert(
      fc.property(
        fc.array(event, { maxLength: 8 }),
        fc.constantFrom("\n\n", "\r\n\r\n"),
        cuts,
        (events, br, at) => {
          const bytes = Buffer.from(events.map((each) => each + br).join(""));
          const places = [...new Set(at.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
          const pieces = [0, ...places].map((from, index) =>
            bytes.subarray(from, places[index] ?? bytes.length),
          );
          const failed = events.findIndex(
            (each) => each.startsWith('data: {"error"') || each.startsWith('data:{"error"'),
          );
          const cut =
            failed < 0
              ? undefined
              : Buffer.byteLength(
                  events
                    .slice(0, failed + 1)
                    .map((each) => each + br)
                    .join(""),
                );
          expect(judge(pieces).cut).toBe(cut);
          expect(judge(pieces)).toEqual(judge([bytes]));
          const proper = events.some((each) => each === done || each.includes('"finish_reason":"stop"}]}'));
          expect(judge(pieces).ended).toBe(proper && cut === undefined);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("reads a piece that is a view into a larger buffer", () => {
    const buffer = Buffer.from(`xxx${done}\n\nxxx`);
    expect(judge([buffer.subarray(3, -3)]).ended).toBe(true);
    expect(judge([buffer.subarray(3, 8)]).ended).toBe(false);
  });

  test("judges recorded streams of real engines: whole ones end, killed ones fail at the error event", () => {
    for (const name of [
      "vllm/chat-stream",
      "vllm/completions-stream",
      "llamacpp/chat-stream",
      "vllm/chat-stream-usage",
    ]) {
      expect([name, byteByByte(recording(name).body)]).toEqual([name, { cut: undefined, ended: true }]);
    }
    for (const name of ["vllm-flags/dead-midstream", "vllm/sigterm-midstream"]) {
      const { body } = recording(name);
      const { cut, ended } = byteByByte(body);
      expect([name, ended]).toEqual([name, false]);
      const passed = Buffer.from(body).subarray(0, cut).toString();
      expect(passed.slice(passed.lastIndexOf("data: "))).toStartWith('data: {"error"');
      expect(passed).not.toContain("[DONE]");
      expect(body).toContain("[DONE]");
    }
  });

  test("reads the usage of a recorded stream, and of each chunk where it comes continuously", () => {
    for (const name of [
      "vllm/chat-stream-usage",
      "vllm/chat-stream-usage-continuous",
      "llamacpp/chat-stream-usage",
    ]) {
      const { body } = recording(name);
      const last = [
        ...body.matchAll(
          /"prompt_tokens": ?(\d+)[^}]*?"completion_tokens": ?(\d+)|"completion_tokens": ?(\d+)[^}]*?"prompt_tokens": ?(\d+)/g,
        ),
      ].at(-1);
      const guard = createStreamGuard();
      for (const event of body.split(/(?<=\n\n)/)) guard.feed(Buffer.from(event));
      expect([name, guard.usage()]).toEqual([
        name,
        { prompt: Number(last?.[1] ?? last?.[4]), completion: Number(last?.[2] ?? last?.[3]) },
      ]);
    }
  });
});
