import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createSeals, randomNonce, refusals } from "../../src/host/sealed-message.ts";
import type { SealedHost } from "../support/seals.ts";
import { keyed, sealsOf } from "../support/seals.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const body = Buffer.from('{"kind":"ping"}');
const minuteMs = 60_000;

/** A seal of `sender`, changed by `change`, brought to a host of the fleet. */
function brought(sender: SealedHost, change: (seal: string) => string | undefined = (seal) => seal) {
  const clock = virtualClock();
  const { seal } = sealsOf(clock, { name: "gold-2", ...sender }).ask(body, 0);
  return sealsOf(clock).openAsk(change(seal), body);
}

describe("a sealed ask", () => {
  test("tells who sealed it, to hosts of the fleet", () => {
    expect(brought({})).toMatchObject({ from: "gold-2" });
  });

  const refused: readonly [string, ReturnType<typeof brought>, why: string][] = [
    ["sealed with another key", brought({ keys: ["another-secret!!"] }), "wrong-key"],
    ["of another fleet", brought({ fleet: "staging" }), "wrong-fleet"],
    [
      "of another fleet that calls itself ours",
      brought({ fleet: "staging" }, (seal) => seal.replace("staging", "fleet")),
      "wrong-key",
    ],
    ["for another subject", brought({ subject: "POST /other" }), "wrong-key"],
    ["of another version", brought({}, (seal) => seal.replace("v=1;", "v=2;more=")), "version"],
    ["without a seal", brought({}, () => undefined), "malformed"],
    ["with an empty seal", brought({}, () => ""), "malformed"],
    ["with half a seal", brought({}, (seal) => seal.slice(0, -1)), "malformed"],
    [
      "with a seal in capitals",
      brought({}, (seal) => seal.replace(/[0-9a-f]{64}$/, (hex) => hex.toUpperCase())),
      "malformed",
    ],
  ];
  for (const [title, opened, why] of refused) {
    test(`${title} is refused as ${why}`, () => expect(opened).toEqual({ refused: why as never }));
  }

  test("larger than the limit is refused before anything is hashed", () => {
    const clock = virtualClock();
    const { seal } = sealsOf(clock, { bodyBytesMost: 9 }).ask(body, 0);
    const receiver = sealsOf(clock, { bodyBytesMost: body.length - 1 });
    expect(receiver.openAsk(seal, body)).toEqual({ refused: "oversize" });
    expect(receiver.openAsk("nonsense", body)).toEqual({ refused: "oversize" });
  });

  test("is refused with any one byte of seal or body flipped", () => {
    const clock = virtualClock();
    const sender = sealsOf(clock, { name: "gold-2" });
    const receiver = sealsOf(clock);
    const { seal } = sender.ask(body, 0);
    for (let bit = 0; bit < 8; bit += 1) {
      for (let at = 0; at < seal.length; at += 1) {
        const bytes = Buffer.from(seal, "latin1");
        bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << bit), at);
        expect(receiver.openAsk(bytes.toString("latin1"), body)).toHaveProperty("refused");
      }
      for (let at = 0; at < body.length; at += 1) {
        const bytes = Buffer.from(body);
        bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << bit), at);
        expect(receiver.openAsk(seal, bytes)).toEqual({ refused: "wrong-key" });
      }
    }
    // And none of all that spoils the real one.
    expect(receiver.openAsk(seal, body)).toMatchObject({ from: "gold-2" });
  });

  test("cannot be cut anew: what moves from one field to the next is another message", () => {
    const clock = virtualClock();
    const receiver = sealsOf(clock, { fleet: "fleet" });
    const { seal } = sealsOf(clock, { fleet: "flee", name: "tgold-2" }).ask(body, 0);
    const moved = seal.replace("fleet=flee;from=tgold-2", "fleet=fleet;from=gold-2");
    expect(receiver.openAsk(moved, body)).toEqual({ refused: "wrong-key" });
  });

  test("is good once: the second time it is replayed, and once that is forgotten it is stale", async () => {
    const clock = virtualClock();
    const sender = sealsOf(clock, { name: "gold-2" });
    const receiver = sealsOf(clock);
    const { seal } = sender.ask(body, 0);
    expect(receiver.openAsk(seal, body)).toHaveProperty("from");
    await clock.advance(minuteMs);
    expect(receiver.openAsk(seal, body)).toEqual({ refused: "replayed" });
    await clock.advance(1);
    expect(receiver.openAsk(seal, body)).toMatchObject({ refused: "stale" });
  });

  test("is replayed when it comes back to its sender", () => {
    const sender = sealsOf(virtualClock());
    expect(sender.openAsk(sender.ask(body, 0).seal, body)).toEqual({ refused: "replayed" });
  });

  test("of an earlier run of the receiver is stale, although the window has not passed", async () => {
    const clock = virtualClock();
    const { seal } = sealsOf(clock, { name: "gold-2" }).ask(body, 0);
    await clock.advance(1000);
    expect(sealsOf(clock).openAsk(seal, body)).toMatchObject({ refused: "stale" });
  });

  test("refused for its key does not fill the memory of what has come", () => {
    const clock = virtualClock();
    const receiver = sealsOf(clock, { noncesMost: 1 });
    const good = sealsOf(clock, { name: "gold-2" }).ask(body, 0);
    expect(receiver.openAsk(good.seal, body)).toHaveProperty("from");
    const stranger = sealsOf(clock, { keys: ["another-secret!!"] });
    for (let each = 0; each < 50; each += 1) receiver.openAsk(stranger.ask(body, 0).seal, body);
    expect(receiver.openAsk(good.seal, body)).toEqual({ refused: "replayed" });
  });
});

describe("a change of keys", () => {
  /** The steps that a person takes on each host: add the new one, sign with it, drop the old one. */
  const steps = [
    ["old-old-old-old!"],
    ["old-old-old-old!", "new-new-new-new!"],
    ["new-new-new-new!", "old-old-old-old!"],
    ["new-new-new-new!"],
  ] as const;

  test("cuts nobody off, in whatever order the hosts take a step", () => {
    const clock = virtualClock();
    for (let step = 1; step < steps.length; step += 1) {
      for (let stepped = 0; stepped < 8; stepped += 1) {
        const hosts = [0, 1, 2].map((host) => {
          const keys = steps[(stepped >> host) % 2 === 1 ? step : step - 1];
          return sealsOf(clock, { name: `gold-${host}`, ...(keys && { keys }) });
        });
        for (const [from, sender] of hosts.entries()) {
          for (const receiver of hosts) {
            if (receiver === sender) continue;
            const { seal, nonce } = sender.ask(body, 0);
            expect(receiver.openAsk(seal, body)).toEqual({ from: `gold-${from}`, nonce });
            expect(sender.openAnswer(receiver.answer(nonce, body), nonce, body)).toHaveProperty("from");
          }
        }
      }
    }
  });

  test("counts from the next message on, and the dropped key is refused", () => {
    const clock = virtualClock();
    let keys = keyed(["old-old-old-old!"]);
    const receiver = createSeals({
      fleet: "fleet",
      name: "gold-1",
      keys: () => keys,
      bodyBytesMost: 1000,
      noncesMost: 10,
      clock,
      nonce: randomNonce,
    }).about("POST /gossip");
    const sender = sealsOf(clock, { name: "gold-2", keys: ["old-old-old-old!"] });
    expect(receiver.openAsk(sender.ask(body, 0).seal, body)).toHaveProperty("from");
    keys = keyed(["new-new-new-new!"]);
    expect(receiver.openAsk(sender.ask(body, 0).seal, body)).toEqual({ refused: "wrong-key" });
  });
});

describe("a wrong clock", () => {
  for (const offMs of [-3_600_000, 3_600_000, -20 * 365 * 86_400_000]) {
    test(`by ${offMs / 3_600_000} h gets through after it was told the time, and at once from then on`, async () => {
      const clock = virtualClock();
      const receiver = sealsOf(clock);
      clock.stepWallMs(offMs);
      const sender = sealsOf(clock, { name: "gold-2" });
      const first = sender.ask(body, 0);
      const opened = receiver.openAsk(first.seal, body);
      expect(opened).toMatchObject({ refused: "stale" });
      const told = sender.openClock("clock" in opened ? opened.clock : undefined, first.nonce);
      expect(told).toEqual({ aheadMs: -offMs });
      const aheadMs = "aheadMs" in told ? told.aheadMs : 0;
      for (let minute = 0; minute < 5; minute += 1) {
        expect(receiver.openAsk(sender.ask(body, aheadMs).seal, body)).toMatchObject({ from: "gold-2" });
        await clock.advance(minuteMs);
      }
    });
  }

  test("that steps while the program runs changes nothing: no ask is stale, none is forgotten", async () => {
    const clock = virtualClock();
    const sender = sealsOf(clock, { name: "gold-2" });
    const receiver = sealsOf(clock);
    const old = sender.ask(body, 0);
    expect(receiver.openAsk(old.seal, body)).toHaveProperty("from");
    for (const stepMs of [3_600_000, -7_200_000]) {
      clock.stepWallMs(stepMs);
      expect(receiver.openAsk(sender.ask(body, 0).seal, body)).toHaveProperty("from");
      expect(receiver.openAsk(old.seal, body)).toEqual({ refused: "replayed" });
    }
  });

  test("is told the time only by who holds the key, and only once for one ask", () => {
    const clock = virtualClock();
    const receiver = sealsOf(clock);
    const stranger = sealsOf(clock, { keys: ["another-secret!!"] });
    clock.stepWallMs(3_600_000);
    const sender = sealsOf(clock, { name: "gold-2" });
    const [asked, other] = [sender.ask(body, 0), sender.ask(body, 0)];
    const opened = receiver.openAsk(asked.seal, body);
    const told = "clock" in opened ? opened.clock : undefined;
    expect(sender.openClock(told, asked.nonce)).toHaveProperty("aheadMs");
    // For another ask, as an answer, as an ask, from a stranger: refused.
    expect(sender.openClock(told, other.nonce)).toEqual({ refused: "replayed" });
    expect(sender.openAnswer(told, asked.nonce, new Uint8Array())).toEqual({ refused: "wrong-key" });
    expect(receiver.openAsk(told, new Uint8Array())).toEqual({ refused: "wrong-key" });
    expect(sender.openClock(receiver.answer(asked.nonce, new Uint8Array()), asked.nonce)).toEqual({
      refused: "wrong-key",
    });
    expect(stranger.openAsk(asked.seal, body)).toEqual({ refused: "wrong-key" });
  });
});

describe("a sealed answer", () => {
  test("is good for the ask that it answers and for no other", () => {
    const clock = virtualClock();
    const [asker, answerer] = [sealsOf(clock), sealsOf(clock, { name: "gold-2" })];
    const { nonce } = asker.ask(body, 0);
    const seal = answerer.answer(nonce, body);
    expect(asker.openAnswer(seal, nonce, body)).toMatchObject({ from: "gold-2" });
    expect(asker.openAnswer(seal, asker.ask(body, 0).nonce, body)).toEqual({ refused: "replayed" });
    expect(asker.openAnswer(seal, nonce, Buffer.from("{}"))).toEqual({ refused: "wrong-key" });
  });

  test("is no ask, and an ask sent back is no answer", () => {
    const clock = virtualClock();
    const [asker, answerer] = [sealsOf(clock), sealsOf(clock, { name: "gold-2" })];
    const asked = asker.ask(body, 0);
    expect(asker.openAnswer(asked.seal, asked.nonce, body)).toEqual({ refused: "wrong-key" });
    expect(asker.openAsk(answerer.answer(randomNonce(), body), body)).toEqual({ refused: "wrong-key" });
  });
});

describe("opening what came from anywhere", () => {
  const piece = fc.oneof(
    fc.string({ maxLength: 20 }),
    fc.constantFrom(
      "v=1;",
      "fleet=fleet;",
      "from=gold-2;",
      "at=1767225600000;",
      `nonce=${"0".repeat(32)};`,
      `hmac=${"f".repeat(64)}`,
      "at=999999999999999;",
      "v=0001;",
      "v=9;",
    ),
  );
  const anySeal = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join("")),
  );

  test("never throws and lets nothing in", () => {
    const seals = sealsOf(virtualClock());
    fc.assert(
      fc.property(anySeal, fc.uint8Array({ maxLength: 200 }), (seal, bytes) => {
        const nonce = "0".repeat(32);
        for (const opened of [
          seals.openAsk(seal, bytes),
          seals.openAnswer(seal, nonce, bytes),
          seals.openClock(seal, nonce),
        ]) {
          expect(refusals).toContain("refused" in opened ? opened.refused : (undefined as never));
        }
      }),
      { numRuns: 500 },
    );
  });

  test("takes a seal of a megabyte without ado", () => {
    const seals = sealsOf(virtualClock());
    expect(seals.openAsk(`v=1;fleet=${"a".repeat(1e6)}`, body)).toEqual({ refused: "malformed" });
  });
});

test("a name that no seal can carry is a bug of the caller", () => {
  for (const name of ["", "a;b", "a b", "ä", "x".repeat(256)]) {
    expect(() => sealsOf(virtualClock(), { name })).toThrow(TypeError);
    expect(() => sealsOf(virtualClock(), { fleet: name })).toThrow(TypeError);
  }
});
