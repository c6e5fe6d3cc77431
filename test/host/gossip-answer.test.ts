import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createGossipAnswer } from "../../src/host/gossip-answer.ts";
import { decode, encode, gossipBounds, sealHeader } from "../../src/host/gossip-wire.ts";
import type { SealedHost } from "../support/seals.ts";
import { sealsOf } from "../support/seals.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const bodyOf = (message: unknown): Uint8Array => {
  const body = encode(message);
  if (body === undefined) throw new Error("too long");
  return body;
};

function host(receiver: SealedHost = {}) {
  const clock = virtualClock();
  const handled: unknown[] = [];
  const refused: string[] = [];
  const answer = createGossipAnswer({
    seals: sealsOf(clock, receiver),
    async handle(message, from) {
      handled.push(message);
      return { heard: from };
    },
    refused: (why) => refused.push(why),
  });
  return {
    clock,
    answer,
    handled,
    refused,
    sender: (of: SealedHost = {}) => sealsOf(clock, { name: "gold-2", ...of }),
  };
}

describe("the gossip answer", () => {
  test("hands over the message with its sender's name and seals the reply to that ask", async () => {
    const { answer, handled, sender } = host();
    const from = sender();
    const body = bodyOf({ kind: "ping" });
    const { seal, nonce } = from.ask(body, 0);
    const { status, headers, body: reply } = await answer(seal, body);
    expect(status).toBe(200);
    expect(handled).toEqual([{ kind: "ping" }]);
    expect(from.openAnswer(headers[sealHeader], nonce, reply ?? new Uint8Array())).toMatchObject({
      from: "gold-1",
    });
    expect(decode(reply ?? new Uint8Array())).toEqual({ message: { heard: "gold-2" } });
  });

  const body = bodyOf({});
  const long = new Uint8Array(gossipBounds.bodyBytes + 1);
  const strangers: readonly [string, status: number, why: string, SealedHost, Uint8Array][] = [
    ["a wrong key", 403, "wrong-key", { keys: ["another-secret!!"] }, body],
    ["another fleet", 403, "wrong-fleet", { fleet: "staging" }, body],
    ["too much to say", 413, "oversize", { bodyBytesMost: 1e6 }, long],
    ["no JSON", 403, "malformed", {}, Buffer.from("{")],
    ["a bomb", 403, "malformed", {}, Bun.zstdCompressSync(new Uint8Array(2 ** 24))],
    ["no UTF-8", 403, "malformed", {}, Buffer.from([0x22, 0xff, 0x22])],
  ];
  for (const [title, status, why, of, bytes] of strangers) {
    test(`to somebody with ${title} is ${status} and nothing else, counted as ${why}`, async () => {
      const { answer, handled, refused, sender } = host();
      expect(await answer(sender(of).ask(bytes, 0).seal, bytes)).toEqual({
        status: status as never,
        headers: {},
        body: undefined,
      });
      expect([handled, refused]).toEqual([[], [why]]);
    });
  }

  test("to a stale stamp is 401 with the time for that sender alone", async () => {
    const { clock, answer, handled, refused, sender } = host();
    clock.stepWallMs(3_600_000);
    const from = sender();
    const { seal, nonce } = from.ask(body, 0);
    const { status, headers, body: reply } = await answer(seal, body);
    expect([status, reply]).toEqual([401, undefined]);
    expect(Object.keys(headers)).toEqual([sealHeader]);
    expect(from.openClock(headers[sealHeader], nonce)).toEqual({ aheadMs: -3_600_000 });
    expect([handled, refused]).toEqual([[], ["stale"]]);
  });

  test("never throws and hands nothing over, whatever comes unsealed; sealed bytes of any kind do no harm", async () => {
    const { answer, handled, sender } = host();
    const from = sender();
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: "binary" }),
        fc.uint8Array({ maxLength: 100 }),
        async (seal, bytes) => {
          const before = handled.length;
          expect((await answer(seal, bytes)).status).toBe(403);
          expect(handled.length).toBe(before);
          expect([200, 403]).toContain((await answer(from.ask(bytes, 0).seal, bytes)).status);
        },
      ),
      { numRuns: 200 },
    );
  });

  test("reads brackets within brackets as deep as a message is long", async () => {
    const { answer, sender } = host();
    const deep = Buffer.from("[".repeat(30_000) + "]".repeat(30_000));
    expect((await answer(sender().ask(deep, 0).seal, deep)).status).toBe(200);
  });
});
