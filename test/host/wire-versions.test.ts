// What routers of version 1 say to one another, kept as they said it. A later version must understand it as long as it
// works beside that one, which is one version back: wire-v1.json is never rewritten, and version 2 gets a file of its own.

import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ourVersions, readMessage, readReply } from "../../src/cluster/messages.ts";
import { advertRule, readAdvert } from "../../src/fleet/advert.ts";
import { readLoadHint } from "../../src/fleet/load.ts";
import { createForwardSeals } from "../../src/host/forwarded.ts";
import { decode } from "../../src/host/gossip-wire.ts";
import { createJobCallSeals } from "../../src/host/job-call.ts";
import { measured } from "../support/measured.ts";
import { sealing, sealsOf } from "../support/seals.ts";
import { virtualClock } from "../support/virtual-clock.ts";

interface Header {
  readonly requestLine: string;
  readonly claim: object;
  readonly header: string;
}

interface Wire {
  readonly messages: Readonly<Record<"sync" | "ping" | "ask" | "reply" | "refusal", { readonly v: unknown }>>;
  readonly sealed: {
    readonly wallMs: number;
    readonly gossip: { readonly body: string; readonly seal: string };
    readonly forwarded: Header;
    readonly jobCall: Header;
  };
  readonly load: string;
}

const wire: Wire = JSON.parse(readFileSync(join(import.meta.dir, "../fixtures/wire-v1.json"), "utf8"));

/** As it was when they were sealed. */
const then = () => {
  const clock = virtualClock();
  clock.stepWallMs(wire.sealed.wallMs - clock.wallMs());
  return clock;
};

describe("what version 1 says (fault 47)", () => {
  test("in gossip is understood, whole: every kind of message, every claim in it", () => {
    const { sync, ping, ask, reply, refusal } = wire.messages;
    for (const message of [sync, ping, ask]) expect(readMessage(message)).toEqual(message as never);
    expect(readReply(reply)).toEqual(reply as never);
    // Nothing that is taken for a reply.
    expect(readReply(refusal)).toBeUndefined();
  });

  test("is understood beside words of a later version: newer fields anywhere, a wider range, a claim of an unknown kind", () => {
    for (const message of [wire.messages.sync, wire.messages.ping, wire.messages.ask]) {
      const claims = "claims" in message && Array.isArray(message.claims) ? message.claims : [];
      const later = {
        ...message,
        v: [ourVersions[1], ourVersions[1] + 1],
        tone: "kind",
        claims: [...claims.map((claim) => ({ ...claim, mood: "bright" })), { name: "x", state: "resting" }],
      };
      const read = readMessage(later);
      expect(read).toMatchObject({ tone: "kind", claims: claims.map(() => ({ mood: "bright" })) });
    }
  });

  test("of itself is understood by who reads adverts", () => {
    const { claims } = wire.messages.ping as unknown as { claims: readonly { readonly meta: unknown }[] };
    const advert = readAdvert(claims[0]?.meta);
    expect(advert).toMatchObject({
      public: "http://10.0.1.10:8010",
      zone: "us-east-1a",
      draining: true,
      upMs: 86_400_000,
      intents: { entries: 123, epoch: 4_000_000_000 },
      short: ["silver"],
    });
    expect(advert?.engines).toMatchObject([
      { name: "vllm", tier: "gold", models: ["Qwen/Qwen2.5-3B-Instruct-AWQ"], slots: 64, state: "ok" },
    ]);
    expect(readLoadHint(wire.load)).toEqual({
      at: 5,
      inflight: 3,
      waiting: 1,
      kvPercent: 40,
      firstByteMs: 120,
    });
    expect(readLoadHint(`${wire.load} 7 later`)).toEqual(readLoadHint(wire.load));
  });

  test("under seal is let in: gossip, a forwarded request, a question about jobs", () => {
    const { gossip, forwarded, jobCall } = wire.sealed;
    const body = new TextEncoder().encode(gossip.body);
    const receiver = { name: "gold-2" };
    expect(sealsOf(then(), receiver).openAsk(gossip.seal, body)).toMatchObject({ from: "gold-1" });
    expect(decode(body)?.message).toEqual(wire.messages.ping);
    const parts = sealing(then(), receiver);
    expect(createForwardSeals(parts).open(forwarded.requestLine, forwarded.header)).toEqual({
      from: "gold-1",
      claim: forwarded.claim as never,
    });
    expect(createJobCallSeals(parts).open(jobCall.requestLine, jobCall.header)).toEqual({
      from: "gold-1",
      claim: jobCall.claim as never,
    });
    measured(
      47,
      "messages, adverts, load, seals and forwarded requests of wire version 1, kept as they were: all understood",
    );
  });
});

test("a router says that it speaks the version before its newest, and its adverts can be read by that one (fault 47)", () => {
  const [least, most] = ourVersions;
  expect(least).toBeLessThanOrEqual(Math.max(1, most - 1));
  expect(advertRule.version).toBeLessThanOrEqual(least);
});
