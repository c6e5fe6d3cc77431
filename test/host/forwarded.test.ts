// What routers say to each other of a forwarded request: the claim travels under seal and nothing of it can be changed.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Forwarded, ForwardSeals } from "../../src/host/forwarded.ts";
import {
  createForwardSeals,
  forwardedMs,
  loadHeader,
  peerRefusedHeader,
  refusedThere,
} from "../../src/host/forwarded.ts";
import { sealing } from "../support/seals.ts";
import type { VirtualClock } from "../support/virtual-clock.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const line = "POST /v1/chat/completions";
const sealsOf = (name: string, clock: VirtualClock): ForwardSeals =>
  createForwardSeals(sealing(clock, { name }));

const claims: fc.Arbitrary<Forwarded> = fc.record({
  caller: fc.option(fc.string({ minLength: 1, maxLength: 64, unit: "grapheme-ascii" }), { nil: undefined }),
  tier: fc.constantFrom("gold", "silver", "bronze"),
  endpoint: fc.stringMatching(/^[A-Za-z0-9._-]{1,40}\/[A-Za-z0-9._-]{1,40}$/),
  model: fc.constantFrom("exact", "any"),
  body: fc.constantFrom("request", "question"),
});

describe("a claim", () => {
  test("is opened as it was sealed, whatever it says, and only once", () => {
    const clock = virtualClock();
    const [sender, receiver] = [sealsOf("gold-1", clock), sealsOf("gold-2", clock)];
    fc.assert(
      fc.property(claims, (forwarded) => {
        const { header } = sender.seal(line, forwarded, 0);
        expect(receiver.open(line, header)).toEqual({ from: "gold-1", claim: forwarded });
        expect(receiver.open(line, header)).toEqual({ refused: "replayed" });
      }),
    );
  });

  const forwarded: Forwarded = {
    caller: "game",
    tier: "gold",
    endpoint: "gold-2/vllm",
    model: "any",
    body: "request",
  };

  test("is refused with any part of it changed, or for another door", () => {
    const clock = virtualClock();
    const [sender, receiver] = [sealsOf("gold-1", clock), sealsOf("gold-2", clock)];
    const { header } = sender.seal(line, forwarded, 0);
    for (const [before, after] of [
      ["caller=game", "caller=admin"],
      [";caller=game", ""],
      ["tier=gold", "tier=silver"],
      ["gold-2/vllm", "gold-3/vllm"],
      ["model=any", "model=exact"],
      ["body=request", "body=question"],
      ["from=gold-1", "from=gold-9"],
    ] as const) {
      expect([after, receiver.open(line, header.replace(before, after))]).toEqual([
        after,
        { refused: "wrong-key" },
      ]);
    }
    expect(receiver.open("POST /v1/embeddings", header)).toEqual({ refused: "wrong-key" });
    expect(receiver.open(line, `${header};x`)).toEqual({ refused: "malformed" });
    expect(receiver.open(line, header)).toHaveProperty("from", "gold-1");
  });

  test("of another hop, or too long to be one, is none", () => {
    const clock = virtualClock();
    const { header } = sealsOf("gold-1", clock).seal(line, forwarded, 0);
    const receiver = sealsOf("gold-2", clock);
    expect(receiver.open(line, header.replace("hop=1", "hop=2"))).toEqual({ refused: "malformed" });
    const { header: long } = sealsOf("gold-1", clock).seal(
      line,
      { ...forwarded, caller: "c".repeat(1000) },
      0,
    );
    expect(receiver.open(line, long)).toEqual({ refused: "malformed" });
  });

  test("with a stale stamp brings the time to its sender, and to nobody else", () => {
    const [here, there] = [virtualClock(), virtualClock()];
    there.stepWallMs(3_600_000);
    const [sender, receiver] = [sealsOf("gold-1", here), sealsOf("gold-2", there)];
    const { header, nonce } = sender.seal(line, forwarded, 0);
    const opened = receiver.open(line, header);
    if (!("refused" in opened)) throw new Error("it was let in");
    expect(opened.refused).toBe("stale");
    expect(sender.openClock(line, forwarded, opened.clock, nonce)).toEqual({ aheadMs: 3_600_000 });
    const other = sender.seal(line, forwarded, 0);
    expect(sender.openClock(line, forwarded, opened.clock, other.nonce)).toEqual({ refused: "replayed" });
    const again = sender.seal(line, forwarded, 3_600_000);
    expect(receiver.open(line, again.header)).toMatchObject({ from: "gold-1" });
  });
});

describe("the time that a receiver is given", () => {
  test("is always above 0, never more than is left, and of few digits", () => {
    fc.assert(
      fc.property(fc.double({ min: -1000, max: 600_000, noNaN: true }), (leftMs) => {
        const text = forwardedMs(leftMs);
        expect(text).toMatch(/^\d{1,6}\.\d$/);
        expect(Number(text)).toBeGreaterThan(0);
        expect(Number(text)).toBeLessThanOrEqual(Math.max(0.1, leftMs + 0.05));
      }),
    );
  });

  test("ends 10 ms before ours, and of a short time a twentieth, so that its honest word comes in time", () => {
    expect([2000, 200, 100, 20, 0.3, 0, -5].map(forwardedMs)).toEqual([
      "1990.0",
      "190.0",
      "95.0",
      "19.0",
      "0.3",
      "0.1",
      "0.1",
    ]);
  });
});

describe("why an answer is none of the engine's", () => {
  const why = (status: number, headers: Readonly<Record<string, string>>): string | undefined =>
    refusedThere(status, { get: (name) => headers[name] });

  test("is what the router there says", () => {
    expect(why(429, { [peerRefusedHeader]: "tier_overloaded", [loadHeader]: "1 0 0 - -" })).toBe(
      "tier_overloaded",
    );
    expect(why(200, { [peerRefusedHeader]: "no_endpoint" })).toBe("no_endpoint");
  });

  test("is that nobody there knows of forwarding, where an error comes with neither refusal nor load", () => {
    for (const status of [401, 403, 404, 500, 503]) expect(why(status, {})).toBe("not-forwarded");
  });

  test("is nothing, where it is the engine's", () => {
    for (const status of [200, 400, 404, 422])
      expect(why(status, { [loadHeader]: "1 0 0 - -" })).toBeUndefined();
    expect(why(200, {})).toBeUndefined();
  });
});
