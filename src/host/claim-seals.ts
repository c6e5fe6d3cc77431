// A request of one router to another's public listener: what its `x-tierline-peer` header claims, and the seal on that.
// The claim stands for the client's key, so that nothing of it can be changed, and the mark of its hop cannot be forged.

import type { Clock } from "../base/clock.ts";
import type { Refused, SealKeys } from "./sealed-message.ts";
import { createSeals, randomNonce } from "./sealed-message.ts";

const claimRule = {
  textMost: 1024,
} as const;

export interface ClaimParts {
  readonly fleet: string;
  /** Of this host. */
  readonly name: string;
  /** Read each time: a reload may change them. */
  keys(): SealKeys;
  readonly clock: Clock;
}

/** How one kind of claim is written: no text may be a claim of two kinds. */
export interface ClaimText<Claim> {
  write(claim: Claim): string;
  /** Undefined where it is none of this kind. */
  read(text: string): Claim | undefined;
}

/** `requestLine`: such as `POST /v1/chat/completions`, with the query where there is one. */
export interface ClaimSeals<Claim> {
  seal(
    requestLine: string,
    claim: Claim,
    aheadMs: number,
  ): { readonly header: string; readonly nonce: string };
  open(requestLine: string, header: string): OpenedClaim<Claim>;
  /** By how much the clock of a receiver is ahead that has called a stamp of ours stale. */
  openClock(
    requestLine: string,
    claim: Claim,
    header: string | undefined,
    nonce: string,
  ): { readonly aheadMs: number } | { readonly refused: Refused };
}

export type OpenedClaim<Claim> =
  | { readonly from: string; readonly claim: Claim }
  /** `clock`: what tells the sender, and nobody else, our time. */
  | { readonly refused: Refused; readonly clock?: string };

const noBody = new Uint8Array();

/** `noncesMost`: of one minute; beyond that the oldest are forgotten, and stale. */
export function createClaimSeals<Claim>(
  { fleet, name, keys, clock }: ClaimParts,
  { write, read }: ClaimText<Claim>,
  noncesMost: number,
): ClaimSeals<Claim> {
  const sealing = createSeals({ fleet, name, keys, bodyBytesMost: 0, noncesMost, clock, nonce: randomNonce });
  /** The body is left out: who can change it between two routers can read it as well, and hashing it costs a millisecond. */
  const sealsFor = (requestLine: string, claim: string) => sealing.about(`${requestLine}\n${claim}`);

  return {
    seal(requestLine, claim, aheadMs) {
      const text = write(claim);
      const { seal, nonce } = sealsFor(requestLine, text).ask(noBody, aheadMs);
      return { header: `${text};${seal}`, nonce };
    },
    open(requestLine, header) {
      const [, text, seal] = (header.length <= claimRule.textMost && parts.exec(header)) || [];
      const claim = text === undefined ? undefined : read(text);
      if (text === undefined || claim === undefined) return { refused: "malformed" };
      const opened = sealsFor(requestLine, text).openAsk(seal, noBody);
      return "refused" in opened ? opened : { from: opened.from, claim };
    },
    openClock: (requestLine, claim, header, nonce) =>
      sealsFor(requestLine, write(claim)).openClock(header, nonce),
  };
}

/** The claim is whatever stands before the seal, which begins with its version. */
const parts = /^(hop=1;.*?);(v=\d.*)$/;

/** What may stand for a caller's name in a claim: anything that `encodeURIComponent` makes. */
export const callerText = "[A-Za-z0-9%!'()*~._-]+";

/** The end of a claim that names a caller; nothing where nobody is asked for a key. */
export const writtenCaller = (caller: string | undefined): string =>
  caller === undefined ? "" : `;caller=${encodeURIComponent(caller)}`;

/** Undefined: it stands for no name. */
export function readCaller(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return undefined;
  }
}
