// A request that one router forwards to another: what its `x-tierline-peer` header says of it, and what travels beside
// it. The seal is claim-seals.ts's.

import type { Tier } from "../fleet/endpoint.ts";
import { tiers } from "../fleet/endpoint.ts";
import type { ClaimParts, ClaimSeals } from "./claim-seals.ts";
import { callerText, createClaimSeals, readCaller, writtenCaller } from "./claim-seals.ts";

/** Of the request; in an answer 401 to one with a stale stamp, the receiver's own signed time. */
export const peerHeader = "x-tierline-peer";
/** Of an answer that comes from the other router itself, and from no engine: why there is none. */
export const peerRefusedHeader = "x-tierline-peer-refused";
/** Of a request, beside the seal: whose it is within its caller's key, percent-encoded, and that it would rather be in another tier. */
export const sessionHeader = "x-tierline-session";
export const spilledHeader = "x-tierline-spilled";

/** A session as a header's value; `readSessionHeader` reads it. */
export const writtenSession = (session: string): string => encodeURIComponent(session.toWellFormed());

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

export type ForwardSeals = ClaimSeals<Forwarded>;

export const createForwardSeals = (parts: ClaimParts): ForwardSeals =>
  createClaimSeals(parts, { write: claimOf, read: readClaim }, forwardedRule.noncesMost);

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
  // The one code stands for several reasons, and this one is about one flow and not about the endpoint.
  if (refused === "tier_overloaded" && headers.get("x-tierline-because") === "over-share")
    return "over-share";
  if (refused !== undefined) return refused;
  return status >= 400 && headers.get(loadHeader) === undefined ? "not-forwarded" : undefined;
}

const grammar = new RegExp(
  `^hop=1;tier=([a-z]+);endpoint=([A-Za-z0-9._-]+/[A-Za-z0-9._-]+);model=(exact|any);body=(request|question)(?:;caller=(${callerText}))?$`,
);

const claimOf = ({ caller, tier, endpoint, model, body }: Forwarded): string =>
  `hop=1;tier=${tier};endpoint=${endpoint};model=${model};body=${body}${writtenCaller(caller)}`;

function readClaim(claim: string): Forwarded | undefined {
  const [, tierName, endpoint, model, body, callerNamed] = grammar.exec(claim) ?? [];
  const tier = tiers.find((each) => each === tierName);
  if (tier === undefined || endpoint === undefined) return undefined;
  const caller = callerNamed === undefined ? undefined : readCaller(callerNamed);
  if (callerNamed !== undefined && caller === undefined) return undefined;
  return {
    caller,
    tier,
    endpoint,
    model: model === "exact" ? "exact" : "any",
    body: body === "question" ? "question" : "request",
  };
}
