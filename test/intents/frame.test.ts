// The binary frame: what clients send is read to the bit, and no bytes whatever make the reader throw or read on.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createArchetypes } from "../../src/intents/archetype.ts";
import type { AskFrame, FrameFault } from "../../src/intents/frame.ts";
import {
  errorFrame,
  frameBytesMost,
  frameFaults,
  itemsMost,
  newAnswerFrame,
  newAsk,
  readAsk,
  readAskFrame,
  writeAnswer,
  writeRefused,
} from "../../src/intents/frame.ts";
import { newAnswer, sources } from "../../src/intents/intent-answer.ts";
import { guard, oracle, statue } from "../support/archetypes.ts";
import type { ClientAsk } from "../support/frame-client.ts";
import { decodeAnswers, decodeHeader, encodeAsk } from "../support/frame-client.ts";
import { anyAsk, hostileFrame } from "../support/hostile-frames.ts";

const set = createArchetypes([statue, guard]);
const all = createArchetypes([oracle]);

const readable = (bytes: Uint8Array, epoch = set.epoch): AskFrame => {
  const frame = readAskFrame(bytes, epoch);
  if ("fault" in frame) throw new Error(`the frame is refused as ${frame.fault}`);
  return frame;
};
const asked = (ask: ClientAsk, archetypes = set) => {
  const into = newAsk();
  readAsk(readable(encodeAsk(1, archetypes.epoch, [ask]), archetypes.epoch), 0, archetypes, into);
  return into;
};
const noAsk = { situation: 0, npc: 0, archetype: 0 };

describe("an ask frame", () => {
  test("has the layout of the documentation, byte for byte", () => {
    const bytes = Uint8Array.fromHex(
      `544c4e31 01 00 0100 78563412 ${epochHex(set.epoch)} 6a00000000000000 11000000 0100 0c 03`.replaceAll(
        " ",
        "",
      ),
    );
    const frame = readable(bytes);
    expect([frame.requestId, frame.count, frame.epoch]).toEqual([0x12345678, 1, set.epoch]);
    const into = newAsk();
    readAsk(frame, 0, set, into);
    expect(into).toEqual({
      archetype: set.all[1],
      situation: 106,
      npc: 17,
      deadlineMs: 12,
      tableOnly: true,
      noFill: true,
    });
  });

  test("may hold no item, and at most 1024", () => {
    expect(readable(encodeAsk(1, set.epoch, [])).count).toBe(0);
    const full = encodeAsk(1, set.epoch, Array(itemsMost).fill(noAsk));
    expect(readable(full).count).toBe(1024);
    expect(full.byteLength).toBe(frameBytesMost);
  });

  test("tells table-only from no-fill", () => {
    const flags = [0, 1, 2, 0xfc].map((bits) => asked({ ...noAsk, flags: bits }));
    expect(flags.map(({ tableOnly, noFill }) => [tableOnly, noFill])).toEqual([
      [false, false],
      [true, false],
      [false, true],
      [false, false],
    ]);
  });

  const beyond: readonly (readonly [what: string, archetypes: typeof set, ask: Partial<ClientAsk>])[] = [
    ["an archetype that does not exist", set, { archetype: 2 }],
    ["the last archetype that a u16 can name", set, { archetype: 0xffff }],
    ["a situation that the archetype does not have", set, { archetype: 1, situation: 120 }],
    ["a situation that is within reach in its low half only", set, { archetype: 1, situation: 2n ** 32n }],
    ["the first situation that is no exact number", all, { situation: 2n ** 53n }],
    ["2^53 + 1, which a double rounds down", all, { situation: 2n ** 53n + 1n }],
    ["the largest situation of all", all, { situation: 2n ** 64n - 1n }],
  ];
  for (const [what, archetypes, ask] of beyond) {
    test(`item is refused where it names ${what}`, () => {
      expect(asked({ ...noAsk, npc: 9, ...ask }, archetypes)).toMatchObject({
        archetype: undefined,
        situation: 0,
        npc: 9,
      });
    });
  }

  test("item is taken up to the archetype's last situation, 2^53 - 1 included", () => {
    expect(asked({ ...noAsk, archetype: 1, situation: 119 }).situation).toBe(119);
    const last = asked({ ...noAsk, situation: Number.MAX_SAFE_INTEGER }, all);
    expect([last.archetype, last.situation]).toEqual([all.all[0], Number.MAX_SAFE_INTEGER]);
  });

  test("comes through for any asks, each where it stood", () => {
    const u32 = fc.nat(0xffff_ffff);
    fc.assert(
      fc.property(u32, fc.array(anyAsk, { maxLength: 30 }), (requestId, asks) => {
        const frame = readable(encodeAsk(requestId, set.epoch, asks));
        expect([frame.requestId, frame.count]).toEqual([requestId, asks.length]);
        const into = newAsk();
        for (const [index, { situation, npc, archetype, deadlineMs, flags = 0 }] of asks.entries()) {
          readAsk(frame, index, set, into);
          const found = set.all[archetype];
          const known = found !== undefined && BigInt(situation) < BigInt(found.situations);
          expect(into).toEqual({
            archetype: known ? found : undefined,
            situation: known ? Number(situation) : 0,
            npc,
            deadlineMs: deadlineMs ?? 0,
            tableOnly: flags % 2 === 1,
            noFill: flags % 4 >= 2,
          });
        }
      }),
    );
  });
});

const right = encodeAsk(7, set.epoch, [noAsk, noAsk]);
const edited = (at: number, ...bytes: number[]) => {
  const copy = Buffer.from(right);
  copy.set(bytes, at);
  return copy;
};
const faulty: readonly (readonly [what: string, Uint8Array, FrameFault, requestId: number])[] = [
  ["nothing", new Uint8Array(0), "malformed", 0],
  ["half a header", right.subarray(0, 15), "malformed", 0],
  ["another magic", edited(0, 0x58), "malformed", 0],
  ["the magic backwards", edited(0, 0x31, 0x4e, 0x4c, 0x54), "malformed", 0],
  ["type answer", edited(4, 2), "malformed", 7],
  ["type error", edited(4, 3), "malformed", 7],
  ["type 0", edited(4, 0), "malformed", 7],
  ["a header without its items", right.subarray(0, 16), "malformed", 7],
  ["an item cut short", right.subarray(0, -1), "malformed", 7],
  ["a byte too many", Buffer.concat([right, Buffer.alloc(1)]), "malformed", 7],
  ["an item too many", Buffer.concat([right, Buffer.alloc(16)]), "malformed", 7],
  ["1025 items", encodeAsk(7, set.epoch, Array(1025).fill(noAsk)), "too-large", 7],
  ["more bytes than 1024 items take, whatever they are", new Uint8Array(frameBytesMost + 1), "too-large", 0],
  [
    "more bytes than 1024 items take after a right header",
    Buffer.concat([right, Buffer.alloc(frameBytesMost)]),
    "too-large",
    7,
  ],
  ["65535 items announced", edited(6, 0xff, 0xff), "too-large", 7],
  ["another epoch", encodeAsk(7, (set.epoch + 1) >>> 0, [noAsk]), "wrong-epoch", 7],
];

describe("a frame that cannot be answered", () => {
  for (const [what, bytes, fault, requestId] of faulty) {
    test(`because of ${what} is ${fault} and keeps request id ${requestId}`, () => {
      expect(readAskFrame(bytes, set.epoch)).toEqual({ fault, requestId });
    });
  }

  const flags: readonly (readonly [FrameFault, number])[] = [
    ["wrong-epoch", 1],
    ["malformed", 2],
    ["too-large", 3],
  ];
  for (const [fault, bits] of flags) {
    test(`as ${fault} gets an error frame with flags ${bits}, the request id and the epoch in force`, () => {
      const bytes = errorFrame({ fault, requestId: 0xfffffff0 }, 0xfedcba98);
      expect(bytes.byteLength).toBe(16);
      expect(decodeHeader(bytes)).toEqual({
        magic: "TLN1",
        type: 3,
        flags: bits,
        count: 0,
        requestId: 0xfffffff0,
        epoch: 0xfedcba98,
      });
    });
  }

  test("is told by the statuses and close codes of the documentation", () => {
    expect(Object.values(frameFaults).map(({ status, close }) => [status, close])).toEqual([
      [409, undefined],
      [400, 1002],
      [413, 1009],
      [429, undefined],
    ]);
  });

  test("never makes the reader throw or read outside, whatever its bytes are", () => {
    const into = newAsk();
    fc.assert(
      fc.property(hostileFrame(set), (bytes) => {
        const frame = readAskFrame(bytes, set.epoch);
        if ("fault" in frame) {
          expect(decodeHeader(errorFrame(frame, set.epoch)).requestId).toBe(frame.requestId);
          return;
        }
        expect(bytes.byteLength).toBe(16 + 16 * frame.count);
        const answers = newAnswerFrame(frame);
        for (let index = 0; index < frame.count; index += 1) {
          readAsk(frame, index, set, into);
          expect(into.situation).toBeLessThan(into.archetype?.situations ?? 1);
          writeRefused(answers, index, into.npc);
        }
        expect(decodeAnswers(answers).map(({ source }) => source)).toEqual(Array(frame.count).fill(255));
      }),
      { numRuns: 500 },
    );
  });
});

describe("an answer frame", () => {
  test("has the layout of the documentation, byte for byte", () => {
    const answers = newAnswerFrame(readable(encodeAsk(0x12345678, set.epoch, [noAsk, noAsk])));
    writeAnswer(answers, 1, 17, { action: 1, source: "stale", confidence: 0.82, ageMs: 1234.9, ttlMs: 0 });
    writeRefused(answers, 0, 18);
    expect(answers.toHex()).toBe(
      `544c4e31 02 00 0200 78563412 ${epochHex(set.epoch)} 12000000 0000 ff 00 00000000 00000000 11000000 0100 01 d1 d2040000 00000000`.replaceAll(
        " ",
        "",
      ),
    );
  });

  test("keeps the epoch in which it was asked, because that is what its actions mean", () => {
    const frame = readable(encodeAsk(1, all.epoch, [noAsk]), all.epoch);
    expect(decodeHeader(newAnswerFrame(frame)).epoch).toBe(all.epoch);
  });

  test("comes through for any answers, ages in whole milliseconds and not beyond 32 bits", () => {
    const ms = fc.oneof(
      fc.double({ min: 0, max: 1e5, noNaN: true }),
      fc.double({ min: 0, max: 1e15, noNaN: true }),
    );
    const answer = fc.record({
      action: fc.nat(19),
      source: fc.constantFrom(...sources),
      confidence: fc.double({ min: 0, max: 1, noNaN: true }),
      ageMs: ms,
      ttlMs: ms,
    });
    const whole = (value: number) => Math.min(Math.floor(value), 0xffff_ffff);
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(0xffff_ffff), answer), { maxLength: 30 }), (items) => {
        const frame = readable(
          encodeAsk(
            3,
            set.epoch,
            items.map(() => noAsk),
          ),
        );
        const answers = newAnswerFrame(frame);
        for (const [index, [npc, item]] of items.entries()) writeAnswer(answers, index, npc, item);
        expect(decodeHeader(answers)).toMatchObject({ type: 2, count: items.length, requestId: 3 });
        for (const [index, got] of decodeAnswers(answers).entries()) {
          const [npc, item] = items[index] ?? [0, newAnswer()];
          expect(got).toEqual({
            npc,
            action: item.action,
            source: sources.indexOf(item.source),
            confidence: Math.round(item.confidence * 255) / 255,
            ageMs: whole(item.ageMs),
            ttlMs: whole(item.ttlMs),
          });
        }
      }),
    );
  });

  test("has source codes 0 to 4 in the documentation's order", () => {
    expect(sources).toEqual(["fresh", "stale", "engine", "peer", "default"]);
  });

  test("written again at an index leaves nothing of what stood there", () => {
    const answers = newAnswerFrame(readable(encodeAsk(1, set.epoch, [noAsk])));
    writeAnswer(answers, 0, 1, { action: 5, source: "peer", confidence: 1, ageMs: 5, ttlMs: 6 });
    writeRefused(answers, 0, 2);
    expect(decodeAnswers(answers)).toEqual([
      { npc: 2, action: 0, source: 255, confidence: 0, ageMs: 0, ttlMs: 0 },
    ]);
  });
});

function epochHex(epoch: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(epoch);
  return bytes.toString("hex");
}
