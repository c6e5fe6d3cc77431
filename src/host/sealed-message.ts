// The seal on what routers say to each other: whoever holds the secret of the fleet said this, to this purpose, now, and
// not before. How a sealed message travels, and what it says, is for others.

import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Clock } from "../base/clock.ts";
import { createReplayMemory } from "./replay-memory.ts";

/*
 * A seal is the value of one header:  v=1;fleet=F;from=NAME;at=MILLISECONDS;nonce=32 HEX;hmac=64 HEX
 * Its HMAC-SHA256 is over netstrings (`5:hello,`), which can be read in one way only, of what kind it is, the version,
 * the fleet, the name, the time, the nonce, the subject and the body, in this order.
 */
const version = 1;
const versioned = /^v=(\d{1,4});/;
const grammar =
  /^v=1;fleet=([A-Za-z0-9._-]{1,255});from=([A-Za-z0-9._-]{1,255});at=(\d{1,15});nonce=([0-9a-f]{32});hmac=([0-9a-f]{64})$/;
const label = /^[A-Za-z0-9._-]{1,255}$/;

/** An answer carries the nonce of what it answers, and so does the time that is told to a sender with a stale stamp. */
type Kind = "ask" | "answer" | "clock";

export const refusals = [
  "wrong-key",
  "wrong-fleet",
  "stale",
  "replayed",
  "oversize",
  "malformed",
  "version",
] as const;
export type Refused = (typeof refusals)[number];

/** The first seals; a seal of any is good. To change the secret: add the new one everywhere, then swap, then drop. */
export type SealKeys = readonly [Uint8Array, ...Uint8Array[]];

export interface SealParts {
  readonly fleet: string;
  /** The sender's own, a name that the configuration allows. */
  readonly name: string;
  /** Read each time: a reload may change them. */
  keys(): SealKeys;
  readonly bodyBytesMost: number;
  /** Asks remembered, so that none is let in twice. They are remembered for a minute, those of fast clocks for two. */
  readonly noncesMost: number;
  readonly clock: Clock;
  /** 32 hexadecimal digits that were never used before. */
  nonce(): string;
}

export interface Opened {
  readonly from: string;
  readonly nonce: string;
}

export interface Asked {
  readonly seal: string;
  readonly nonce: string;
}

export interface Sealing {
  /** `subject`: what is asked for, a request line and whatever else must not be changed on the way. */
  about(subject: string): Seals;
}

export interface Seals {
  /** `aheadMs`: by how much the receiver's clock is ahead of ours, as far as we know. */
  ask(body: Uint8Array, aheadMs: number): Asked;
  /** `clock`, with a stale stamp only: the seal that tells the sender, and nobody else, our time. */
  openAsk(
    seal: string | undefined,
    body: Uint8Array,
  ): Opened | { readonly refused: Refused; readonly clock?: string };
  /** `nonce`: that of the ask. */
  answer(nonce: string, body: Uint8Array): string;
  openAnswer(
    seal: string | undefined,
    nonce: string,
    body: Uint8Array,
  ): Opened | { readonly refused: Refused };
  openClock(
    seal: string | undefined,
    nonce: string,
  ): { readonly aheadMs: number } | { readonly refused: Refused };
}

interface Stamp {
  readonly kind: Kind;
  readonly fleet: string;
  readonly from: string;
  readonly atMs: string;
  readonly nonce: string;
}

const noBody = new Uint8Array();

export const randomNonce = (): string => randomBytes(16).toString("hex");

/** @throws TypeError where the fleet or the name is none that a seal can carry: a bug of the caller. */
export function createSeals(parts: SealParts): Sealing {
  const { fleet, name, keys, bodyBytesMost, noncesMost, clock, nonce: newNonce } = parts;
  for (const text of [fleet, name]) if (!label.test(text)) throw new TypeError(`cannot be sealed: ${text}`);

  // The wall clock is read once, so that no step of it can make a peer's stamp stale or an old message fresh again.
  const aheadOfMonotonicMs = clock.wallMs() - clock.now();
  const nowMs = (): number => Math.floor(clock.now() + aheadOfMonotonicMs);
  const memory = createReplayMemory(noncesMost, nowMs());

  const about = (subject: string): Seals => {
    const hmac = (key: Uint8Array, { kind, fleet, from, atMs, nonce }: Stamp, body: Uint8Array): Buffer => {
      const fields = [kind, String(version), fleet, from, atMs, nonce, subject].map(netstring).join("");
      return createHmac("sha256", key).update(`${fields}${body.length}:`).update(body).update(",").digest();
    };

    const seal = (kind: Kind, atMs: number, nonce: string, body: Uint8Array): string => {
      const stamp = { kind, fleet, from: name, atMs: String(atMs), nonce };
      const digest = hmac(keys()[0], stamp, body).toString("hex");
      return `v=${version};fleet=${fleet};from=${name};at=${stamp.atMs};nonce=${nonce};hmac=${digest}`;
    };

    /** Nothing is hashed for somebody who does not even claim to belong here. */
    const open = (
      kind: Kind,
      text: string | undefined,
      body: Uint8Array,
    ): Stamp | { readonly refused: Refused } => {
      if (body.length > bodyBytesMost) return { refused: "oversize" };
      const theirVersion = versioned.exec(text ?? "")?.[1];
      if (theirVersion === undefined) return { refused: "malformed" };
      if (theirVersion !== String(version)) return { refused: "version" };
      const [, theirFleet, from, atMs, nonce, digest] = grammar.exec(text ?? "") ?? [];
      if (theirFleet === undefined || from === undefined || atMs === undefined || nonce === undefined) {
        return { refused: "malformed" };
      }
      if (theirFleet !== fleet) return { refused: "wrong-fleet" };
      const stamp = { kind, fleet, from, atMs, nonce };
      const given = Buffer.from(digest ?? "", "hex");
      const isGood = keys().some((key) => timingSafeEqual(hmac(key, stamp, body), given));
      return isGood ? stamp : { refused: "wrong-key" };
    };

    /** Good for this one ask: an answer to another one is as old as that. */
    const openFor = (
      asked: string,
      kind: Kind,
      text: string | undefined,
      body: Uint8Array,
    ): Stamp | { readonly refused: Refused } => {
      const opened = open(kind, text, body);
      return "refused" in opened || opened.nonce === asked ? opened : { refused: "replayed" };
    };

    return {
      ask(body, aheadMs) {
        const nonce = newNonce();
        const atMs = Math.max(0, nowMs() + aheadMs);
        // Sent back to us it is a replay like any other.
        memory.judge(nonce, atMs, nowMs());
        return { seal: seal("ask", atMs, nonce, body), nonce };
      },
      openAsk(text, body) {
        const opened = open("ask", text, body);
        if ("refused" in opened) return opened;
        const { from, nonce, atMs } = opened;
        const verdict = memory.judge(nonce, Number(atMs), nowMs());
        if (verdict === "fresh") return { from, nonce };
        if (verdict === "replayed") return { refused: verdict };
        return { refused: verdict, clock: seal("clock", memory.nearestMs(nowMs()), nonce, noBody) };
      },
      answer: (nonce, body) => seal("answer", nowMs(), nonce, body),
      openAnswer: (text, nonce, body) => openFor(nonce, "answer", text, body),
      openClock(text, nonce) {
        const opened = openFor(nonce, "clock", text, noBody);
        return "refused" in opened ? opened : { aheadMs: Number(opened.atMs) - nowMs() };
      },
    };
  };

  return { about };
}

/** Its parts are ASCII or the caller's subject; the length is that of the bytes. */
const netstring = (text: string): string => `${Buffer.byteLength(text)}:${text},`;
