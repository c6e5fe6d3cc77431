// A request that one router forwards to another: what its `x-tierline-peer` header says, and the seal on it. It stands
// for the client's key, and the mark of its hop cannot be forged.

import type { Clock } from "../base/clock.ts";
import type { Tier } from "../fleet/endpoint.ts";
import { tiers } from "../fleet/endpoint.ts";
import type { Opened, Refused, SealKeys } from "./sealed-message.ts";
import { createSeals, randomNonce } from "./sealed-message.ts";

/** Of the request; in an answer 401 to one with a stale stamp, the receiver's own signed time. */
export const peerHeader = "x-tierline-peer";
/** Of an answer that comes from the other router itself, and from no engine: why there is none. */
export const peerRefusedHeader = "x-tierline-peer-refused";
/** Of every answer to a forwarded request: how loaded the endpoint is (fleet/load.ts). */
export const loadHeader = "x-tierline-load";

export const forwardedRule = {
  /**
   * The receiver's time ends so much sooner than ours, so that its honest word comes before we hang up on it; of a short
   * time a twentieth.
   */
  earlierMs: 10,
  earlierShare: 0.05,
  /** A minute of what the fastest engine hosts answer; beyond that the oldest are forgotten, and stale. 20 MB. */
  noncesMost: 131_072,
  textMost: 1024,
} as const;

export interface Forwarded {
  /** The name of the caller's key at the first router; undefined where nobody is asked for one. */
  readonly caller: string | undefined;
  readonly tier: Tier;
  /** `<host>/<engine>`: there, at once, or not at all. */
  readonly endpoint: string;
  /** `exact`: the one that the body names will do; `any`: whatever the endpoint serves. */
  readonly model: "exact" | "any";
  /** What the body is: a caller's request, or the question for an NPC's intent. */
  readonly body: "request" | "question";
}

export interface ForwardParts {
  readonly fleet: string;
  /** Of this host. */
  readonly name: string;
  /** Read each time: a reload may change them. */
  keys(): SealKeys;
  readonly clock: Clock;
}

/** `requestLine`: such as `POST /v1/chat/completions`. */
export interface ForwardSeals {
  seal(
    requestLine: string,
    forwarded: Forwarded,
    aheadMs: number,
  ): { readonly header: string; readonly nonce: string };
  open(requestLine: string, header: string): OpenedForward;
  /** By how much the clock of a receiver is ahead that has called a stamp of ours stale. */
  openClock(
    requestLine: string,
    forwarded: Forwarded,
    header: string | undefined,
    nonce: string,
  ): { readonly aheadMs: number } | { readonly refused: Refused };
}

export type OpenedForward =
  | { readonly from: string; readonly forwarded: Forwarded }
  /** `clock`: what tells the sender, and nobody else, our time. */
  | { readonly refused: Refused; readonly clock?: string };

const noBody = new Uint8Array();

export function createForwardSeals({ fleet, name, keys, clock }: ForwardParts): ForwardSeals {
  const sealing = createSeals({
    fleet,
    name,
    keys,
    bodyBytesMost: 0,
    noncesMost: forwardedRule.noncesMost,
    clock,
    nonce: randomNonce,
  });
  /** The body is left out: who can change it between two routers can read it as well, and hashing it costs a millisecond. */
  const sealsFor = (requestLine: string, claim: string) => sealing.about(`${requestLine}\n${claim}`);

  return {
    seal(requestLine, forwarded, aheadMs) {
      const claim = claimOf(forwarded);
      const { seal, nonce } = sealsFor(requestLine, claim).ask(noBody, aheadMs);
      return { header: `${claim};${seal}`, nonce };
    },
    open(requestLine, header) {
      const [, claim, seal] = (header.length <= forwardedRule.textMost && parts.exec(header)) || [];
      const forwarded = claim === undefined ? undefined : readClaim(claim);
      if (claim === undefined || forwarded === undefined) return { refused: "malformed" };
      const opened: Opened | { readonly refused: Refused; readonly clock?: string } = sealsFor(
        requestLine,
        claim,
      ).openAsk(seal, noBody);
      return "refused" in opened ? opened : { from: opened.from, forwarded };
    },
    openClock: (requestLine, forwarded, header, nonce) =>
      sealsFor(requestLine, claimOf(forwarded)).openClock(header, nonce),
  };
}

/** The value of `x-tierline-deadline-ms` in a forwarded request: what its receiver has of the time that is left here. */
export function forwardedMs(leftMs: number): string {
  const { earlierMs, earlierShare } = forwardedRule;
  const theirsMs = leftMs - Math.min(earlierMs, leftMs * earlierShare);
  // A receiver takes no deadline that has passed, and a tenth of a millisecond is as good as that.
  return Math.max(0.1, theirsMs).toFixed(1);
}

/**
 * Why an answer to a forwarded request is none of the engine's; undefined where it is. Who refuses and tells no load has
 * never heard of forwarding: another program, or a router that is in no fleet any more.
 */
export function refusedThere(
  status: number,
  headers: { get(name: string): string | undefined },
): string | undefined {
  const refused = headers.get(peerRefusedHeader);
  if (refused !== undefined) return refused;
  return status >= 400 && headers.get(loadHeader) === undefined ? "not-forwarded" : undefined;
}

/** The claim is whatever stands before the seal, which begins with its version. */
const parts = /^(hop=1;.*?);(v=\d.*)$/;
const grammar =
  /^hop=1;tier=([a-z]+);endpoint=([A-Za-z0-9._-]+\/[A-Za-z0-9._-]+);model=(exact|any);body=(request|question)(?:;caller=([A-Za-z0-9%!'()*~._-]+))?$/;

const claimOf = ({ caller, tier, endpoint, model, body }: Forwarded): string =>
  `hop=1;tier=${tier};endpoint=${endpoint};model=${model};body=${body}${
    caller === undefined ? "" : `;caller=${encodeURIComponent(caller)}`
  }`;

function readClaim(claim: string): Forwarded | undefined {
  const [, tierName, endpoint, model, body, callerText] = grammar.exec(claim) ?? [];
  const tier = tiers.find((each) => each === tierName);
  if (tier === undefined || endpoint === undefined) return undefined;
  const caller = callerText === undefined ? undefined : decoded(callerText);
  if (callerText !== undefined && caller === undefined) return undefined;
  return {
    caller,
    tier,
    endpoint,
    model: model === "exact" ? "exact" : "any",
    body: body === "question" ? "question" : "request",
  };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (!(error instanceof URIError)) throw error;
    return undefined;
  }
}
