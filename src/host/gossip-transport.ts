// Takes messages to peers and brings back what they answer, over connections that serve nothing else. Whether a peer is
// alive, and when to try again, is for the cluster to decide; only a wrong clock is put right here.

import { parseAddress } from "../base/address.ts";
import type { Clock } from "../base/clock.ts";
import type { WireClient, WireExchange, WireResponse, WireTarget } from "../wire/client.ts";
import { createWireClient } from "../wire/client.ts";
import { readAtMost } from "../wire/read-at-most.ts";
import type { WireErrorCode } from "../wire/wire-error.ts";
import { WireError } from "../wire/wire-error.ts";
import { bodyType, decode, encode, gossipBounds, gossipPath, sealHeader } from "./gossip-wire.ts";
import type { Refused, Seals } from "./sealed-message.ts";

const transportRule = {
  /** Twice the largest fleet that is promised. A peer that nobody talks to costs a few hundred bytes, no socket. */
  peersMost: 1024,
  /** All together. The cluster keeps to about ten; those it asks on behalf of others come on top. */
  exchangesMost: 64,
  /** To one peer: a round, a probe, a question for another, and one to spare. */
  connectionsMost: 4,
  /**
   * A connect into a partition hangs on for two minutes, and its next try may be a minute away. It must not keep the one
   * from being made that would succeed now.
   */
  connectsMost: 64,
  /** Longer than any exchange may take: the time of the exchange is what counts. */
  connectMs: 10_000,
  /** A handful of short headers is all that an answer has. */
  headerBytes: 4 * 1024,
} as const;

/** A wire error's code; why the peer's answer was refused; or one of our own. */
export type SendFailure =
  | WireErrorCode
  | Refused
  | "late"
  /** Too much is under way already. */
  | "busy"
  | "bad-address"
  /** The peer refused us, and does not say why: another key, another fleet, a message it could not read. */
  | "rejected"
  /** It has too much to do, is no router, or is broken. */
  | "no-answer";

/** Those that people would not know by their code. */
const failureTexts: Partial<Record<SendFailure, string>> = {
  refused: "connection refused",
  unreachable: "no connection",
  reset: "connection reset",
  closed: "connection closed",
  truncated: "answer cut short",
  late: "no answer in time",
  rejected: "it turned our message away",
  "no-answer": "no usable answer",
};

/** In a few words, for the log and for whoever asks why a member is suspected. */
export const failureText = (failure: SendFailure): string => failureTexts[failure] ?? failure;

/** `reply` is whatever a host of the fleet said, unjudged. */
export type Sent = { readonly reply: unknown } | Failed;
type Failed = { readonly failed: SendFailure };

/** What the cluster calls a transport, and how it is kept in bounds. */
export interface GossipTransport {
  /** Never rejects. `timeoutMs`: until the whole answer is here. `fresh`: on a new connection. */
  send(
    address: string,
    message: unknown,
    options: { readonly timeoutMs: number; readonly fresh: boolean },
  ): Promise<Sent>;
  /** Closes the connections to a peer that is gone. It may come back. */
  forget(address: string): void;
  close(): void;
  counts(): { readonly peers: number; readonly exchanges: number; readonly connections: number };
}

export interface GossipTransportParts {
  readonly seals: Seals;
  readonly clock: Clock;
  /** Answers that were not let in, for a counter. */
  refused(why: Refused): void;
}

interface Peer {
  readonly client: WireClient;
  /** By how much its clock is ahead of ours. Learnt from the peer; 0 is good for any clock within the window. */
  aheadMs: number;
  exchanges: number;
}

/** One message on its way, with whatever exchange carries it at the moment. */
interface Errand {
  readonly peer: Peer;
  readonly body: Uint8Array;
  carrier: WireExchange | undefined;
  late: boolean;
}

export function createGossipTransport({ seals, clock, refused }: GossipTransportParts): GossipTransport {
  const { peersMost, exchangesMost, connectionsMost, connectsMost, connectMs, headerBytes } = transportRule;
  /** Longest unused first. */
  const peers = new Map<string, Peer>();
  let exchanges = 0;

  const drop = (address: string, peer: Peer): void => {
    peers.delete(address);
    peer.client.close();
  };

  const peerAt = (address: string, target: WireTarget): Peer => {
    const limits = {
      connectMs,
      maxConnections: connectionsMost,
      maxPendingConnects: connectsMost,
      maxHeaderBytes: headerBytes,
      bufferBytes: gossipBounds.bodyBytes,
    };
    const known = peers.get(address);
    const peer = known ?? { client: createWireClient(target, clock, limits), aheadMs: 0, exchanges: 0 };
    peers.delete(address);
    peers.set(address, peer);
    if (peers.size > peersMost) {
      const unused = peers.entries().find(([, each]) => each !== peer && each.exchanges === 0);
      if (unused !== undefined) drop(...unused);
    }
    return peer;
  };

  const refuse = (why: Refused): Failed => {
    refused(why);
    return { failed: why };
  };

  const post = async (errand: Errand, seal: string, fresh: boolean): Promise<WireResponse> => {
    const headers = [
      ["content-type", bodyType],
      [sealHeader, seal],
    ] as const;
    const request = { method: "POST", path: gossipPath, headers, body: [errand.body], fresh };
    errand.carrier = errand.peer.client.request(request);
    return await errand.carrier.response;
  };

  /** Undefined: the peer has told us its time, and the same again will do. */
  const attempt = async (errand: Errand, fresh: boolean): Promise<Sent | undefined> => {
    const { peer, body } = errand;
    const { seal, nonce } = seals.ask(body, peer.aheadMs);
    const { status, headers, body: arriving } = await post(errand, seal, fresh);
    const answer = await readAtMost(arriving, gossipBounds.bodyBytes);
    if (answer === undefined) {
      errand.carrier?.cancel();
      return refuse("oversize");
    }
    const answerSeal = headers.get(sealHeader);
    if (status === 401) {
      const told = seals.openClock(answerSeal, nonce);
      if ("refused" in told) return refuse(told.refused);
      peer.aheadMs = told.aheadMs;
      return undefined;
    }
    if (status !== 200) return { failed: status === 403 || status === 413 ? "rejected" : "no-answer" };
    const opened = seals.openAnswer(answerSeal, nonce, answer);
    if ("refused" in opened) return refuse(opened.refused);
    const decoded = decode(answer);
    return decoded === undefined ? refuse("malformed") : { reply: decoded.message };
  };

  /** A kept connection that the peer had closed meanwhile says nothing about the peer. A new seal: nobody replays. */
  const attemptAnew = async (errand: Errand, fresh: boolean): Promise<Sent | undefined> => {
    try {
      return await attempt(errand, fresh);
    } catch (error) {
      const wasStale = error instanceof WireError && error.reused && !error.heard;
      if (!wasStale || errand.late) throw error;
      return await attempt(errand, true);
    }
  };

  const run = async (errand: Errand, fresh: boolean): Promise<Sent> => {
    try {
      const first = await attemptAnew(errand, fresh);
      if (first !== undefined) return first;
      if (errand.late) return { failed: "late" };
      return (await attemptAnew(errand, false)) ?? { failed: "stale" };
    } catch (error) {
      if (!(error instanceof WireError)) throw error;
      return { failed: errand.late ? "late" : error.code };
    }
  };

  return {
    async send(address, message, { timeoutMs, fresh }) {
      // Peers say where others are, so it may be anything.
      const target = parseAddress(address);
      if (target === undefined || target.port === 0) return failure("bad-address");
      const body = encode(message);
      if (body === undefined) return failure("oversize");
      if (exchanges >= exchangesMost) return failure("busy");
      const peer = peerAt(address, target);
      const errand: Errand = { peer, body, carrier: undefined, late: false };
      const stopTimer = clock.after(timeoutMs, () => {
        errand.late = true;
        errand.carrier?.cancel();
      });
      exchanges += 1;
      peer.exchanges += 1;
      try {
        return await run(errand, fresh);
      } finally {
        stopTimer();
        exchanges -= 1;
        peer.exchanges -= 1;
      }
    },
    forget(address) {
      const peer = peers.get(address);
      if (peer !== undefined) drop(address, peer);
    },
    close() {
      for (const [address, peer] of [...peers]) drop(address, peer);
    },
    counts() {
      let connections = 0;
      for (const { client } of peers.values()) connections += client.stats().open + client.stats().pending;
      return { peers: peers.size, exchanges, connections };
    },
  };
}

const failure = (failed: SendFailure): Failed => ({ failed });
