// A host of a fleet on loopback: the real gossip listener and the real transport, and somebody who answers.

import pino from "pino";
import type { Clock } from "../../src/base/clock.ts";
import { systemClock } from "../../src/base/clock.ts";
import { createGossipAnswer } from "../../src/host/gossip-answer.ts";
import type { GossipTransport } from "../../src/host/gossip-transport.ts";
import { createGossipTransport } from "../../src/host/gossip-transport.ts";
import { gossipBounds, gossipSubject } from "../../src/host/gossip-wire.ts";
import { createGossipApp } from "../../src/http/gossip.ts";
import { listen } from "../../src/http/listen.ts";
import type { SealedHost } from "./seals.ts";
import { sealsOf } from "./seals.ts";

export interface GossipHost {
  readonly url: string;
  readonly address: string;
  readonly port: number;
  readonly transport: GossipTransport;
  /** What came in and was handled, in order. */
  readonly handled: readonly unknown[];
  /** What was not let in, asks and answers. */
  readonly refused: readonly string[];
  stop(): Promise<void>;
}

export interface GossipHostOptions extends SealedHost {
  readonly clock?: Clock;
  readonly port?: number;
  readonly handle?: (message: unknown) => Promise<unknown>;
}

export function openGossipHost(options: GossipHostOptions = {}): GossipHost {
  const { clock = systemClock, handle = async (message) => ({ echo: message }) } = options;
  const handled: unknown[] = [];
  const refused: string[] = [];
  const seals = sealsOf(clock, {
    subject: gossipSubject,
    bodyBytesMost: gossipBounds.bodyBytes,
    noncesMost: gossipBounds.nonces,
    ...options,
  });
  const answer = createGossipAnswer({
    seals,
    handle(message) {
      handled.push(message);
      return handle(message);
    },
    refused: (why) => refused.push(why),
  });
  const app = createGossipApp({ answer, clock, refused: (why) => refused.push(why) });
  const transport = createGossipTransport({ seals, clock, refused: (why) => refused.push(why) });
  const listener = listen(app, { hostname: "127.0.0.1", port: options.port ?? 0 }, pino({ level: "silent" }));
  const { host, port } = new URL(listener.url);
  return {
    url: listener.url,
    address: host,
    port: Number(port),
    transport,
    handled,
    refused,
    stop() {
      transport.close();
      return listener.stop(true);
    },
  };
}

/** This machine's clock, but its wall stands wrong. */
export const clockOffBy = (offMs: number): Clock => ({
  ...systemClock,
  wallMs: () => systemClock.wallMs() + offMs,
});
