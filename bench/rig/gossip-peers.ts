// As a process: so many peers for one real router. Each is the real machine with its own listener, transport and seals,
// and speaks to the router over HTTP. Among themselves they hand each other their messages as they are: what that costs
// is nobody's figure, and 500 routers need a machine of their own to pay it.
//
//   bun bench/rig/gossip-peers.ts PEERS GOSSIP_PORT_OF_THE_ROUTER FLEET SECRET

import pino from "pino";
import { systemClock } from "../../src/base/clock.ts";
import { systemRandom } from "../../src/base/random.ts";
import type { Gossip } from "../../src/cluster/gossip.ts";
import { createGossip } from "../../src/cluster/gossip.ts";
import { bootId, firstIncarnation } from "../../src/cluster/incarnation.ts";
import type { Transport } from "../../src/cluster/transport.ts";
import type { advertOf } from "../../src/fleet/advert.ts";
import { advertEveryMs } from "../../src/fleet/advert.ts";
import { createGossipAnswer } from "../../src/host/gossip-answer.ts";
import { createGossipTransport } from "../../src/host/gossip-transport.ts";
import { gossipBounds, gossipSubject } from "../../src/host/gossip-wire.ts";
import type { Seals } from "../../src/host/sealed-message.ts";
import { createSeals, randomNonce } from "../../src/host/sealed-message.ts";
import { createGossipApp } from "../../src/http/gossip.ts";
import { listen } from "../../src/http/listen.ts";

/** What the peers have sent to the router and had from it, since they began. */
export interface PeersCounts {
  readonly toRouter: Traffic;
  readonly fromRouter: Traffic;
  /** Members that the router spoke of when it last spoke. */
  readonly known: number;
  /** How often a timer of this process came so late that real peers would have been faster. */
  readonly late: number;
  readonly refused: number;
}

export interface Traffic {
  requests: number;
  /** Of requests and answers that went this way: bodies, seals and the rest of their heads. */
  bytes: number;
}

export type PeersMessage = { readonly ready: readonly string[] } | { readonly counts: PeersCounts };

const requestHeadBytes =
  "POST /gossip HTTP/1.1\r\nhost: 127.0.0.1:12345\r\ncontent-type: application/octet-stream\r\nx-tierline-seal: \r\ncontent-length: 12345\r\n\r\n"
    .length;
const answerHeadBytes =
  "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\nx-tierline-seal: \r\nDate: Sat, 21 Nov 2026 00:00:00 GMT\r\nContent-Length: 12345\r\n\r\n"
    .length;

const [countText, routerPort, fleet = "", secret = ""] = process.argv.slice(2);
const count = Number(countText);
const routerAddress = `127.0.0.1:${routerPort}`;
const clock = systemClock;
const counts = {
  toRouter: { requests: 0, bytes: 0 },
  fromRouter: { requests: 0, bytes: 0 },
  known: 0,
  late: 0,
  refused: 0,
};
const peers = new Map<string, Gossip>();
const refused = (): void => {
  counts.refused += 1;
};

for (let index = 0; index < count; index += 1) open(index);
const addresses = [...peers.keys()];
for (const gossip of peers.values()) gossip.start();
for (const [index, gossip] of [...peers.values()].entries()) speakAnew(index, gossip);
setInterval(() => process.send?.({ counts } satisfies PeersMessage), 250);
watchLateness();
const patience = setInterval(() => {
  if (![...peers.values()].every((gossip) => gossip.counts().alive >= count)) return;
  clearInterval(patience);
  process.send?.({ ready: addresses } satisfies PeersMessage);
}, 100);
process.on("disconnect", () => process.exit(0));

function open(index: number): void {
  const name = `ip-10-0-${index >> 8}-${index & 255}`;
  const keys = [new TextEncoder().encode(secret)] as const;
  const sealing = createSeals({
    fleet,
    name,
    keys: () => keys,
    bodyBytesMost: gossipBounds.bodyBytes,
    noncesMost: gossipBounds.nonces,
    clock,
    nonce: randomNonce,
  });
  const seals = counted(sealing.about(gossipSubject));
  const transport = createGossipTransport({ seals, clock, refused });
  const answer = createGossipAnswer({
    seals,
    handle(message) {
      counts.known = digestLength(message) ?? counts.known;
      return gossip.handle(message);
    },
    refused,
  });
  const app = createGossipApp({ answer, clock, refused });
  const listener = listen(app, { hostname: "127.0.0.1", port: 0 }, pino({ level: "silent" }));
  const address = new URL(listener.url).host;
  const among: Transport["send"] = async (to, message) => {
    const peer = peers.get(to);
    return peer === undefined ? { failed: "refused" } : { reply: await peer.handle(message) };
  };
  const incarnation = firstIncarnation(clock.wallMs(), undefined);
  const gossip = createGossip({
    name,
    boot: bootId(incarnation, systemRandom),
    address,
    incarnation,
    meta: advert(index),
    seeds: () => [...peers.keys()].slice(0, 3),
    lastKnown: [],
    clock,
    random: systemRandom,
    transport: {
      send: (to, message, options) =>
        to === routerAddress ? transport.send(to, message, options) : among(to, message, options),
    },
    tell() {},
  });
  peers.set(address, gossip);
}

/** Every body that goes to or comes from the router is sealed, or its seal is opened. */
function counted(seals: Seals): Seals {
  const { toRouter, fromRouter } = counts;
  const add = (way: Traffic, headBytes: number, seal: string | undefined, body: Uint8Array): void => {
    way.bytes += headBytes + (seal?.length ?? 0) + body.length;
  };
  return {
    ...seals,
    ask(body, aheadMs) {
      const asked = seals.ask(body, aheadMs);
      toRouter.requests += 1;
      add(toRouter, requestHeadBytes, asked.seal, body);
      return asked;
    },
    openAnswer(seal, nonce, body) {
      add(fromRouter, answerHeadBytes, seal, body);
      return seals.openAnswer(seal, nonce, body);
    },
    openAsk(seal, body) {
      fromRouter.requests += 1;
      add(fromRouter, requestHeadBytes, seal, body);
      return seals.openAsk(seal, body);
    },
    answer(nonce, body) {
      const seal = seals.answer(nonce, body);
      add(toRouter, answerHeadBytes, seal, body);
      return seal;
    },
  };
}

function digestLength(message: unknown): number | undefined {
  const digest = typeof message === "object" && message !== null && "digest" in message && message.digest;
  return Array.isArray(digest) ? digest.length : undefined;
}

/** As a host with one engine has it, whose load moves all the time. */
function advert(index: number): ReturnType<typeof advertOf> {
  const now = Math.round(clock.now());
  const draw = (below: number): number => Math.floor(systemRandom() * below);
  return {
    v: 1,
    at: now,
    up_ms: now,
    public: `http://10.0.${index >> 8}.${index & 255}:8010`,
    zone: "us-east-1a",
    intents: [draw(100_000), 1],
    engines: [["vllm", "gold", ["Qwen/Qwen3-8B-AWQ"], 64, draw(64), draw(4), draw(100), 20 + draw(60), "ok"]],
  };
}

/** Not in step: hosts did not start at the same moment. */
function speakAnew(index: number, gossip: Gossip): void {
  const everyMs = advertEveryMs(count + 1);
  setTimeout(() => setInterval(() => gossip.publish(advert(index)), everyMs), everyMs * systemRandom());
}

function watchLateness(): void {
  const everyMs = 50;
  const lateMs = 200;
  let due = performance.now() + everyMs;
  setInterval(() => {
    const now = performance.now();
    if (now - due > lateMs) counts.late += 1;
    due = now + everyMs;
  }, everyMs);
}
