// What is left to say where nobody is ready: the honest reason, when to come back, and the best guess.

import type { Instant } from "../base/clock.ts";
import type { Tier } from "../fleet/endpoint.ts";
import type { EndpointView } from "../fleet/endpoint-view.ts";
import { admissionRule, hasPlace, worthWaitingMs } from "./admission.ts";
import { guessRank } from "./candidates.ts";
import type { Exclusion, ShedReason } from "./decision.ts";
import type { RoutingRequest, Tried } from "./request.ts";

export interface Guess {
  readonly endpoint: EndpointView;
  readonly tier: Tier;
  /** As `guessRank` has it. */
  readonly rank: number;
}

export interface Leftover {
  readonly refusal: ShedReason;
  /** When a slot is likely to be free somewhere; undefined where nobody is full. */
  readonly freeInMs: number | undefined;
  readonly guess: Guess | undefined;
  /** One more endpoint of that tier is not ready, for this reason. */
  weigh(endpoint: EndpointView, tier: Tier, exclusion: Exclusion): void;
}

export function createLeftover(request: RoutingRequest, tried: readonly Tried[], now: Instant): Leftover {
  let refusal: ShedReason = "no-endpoint";
  let freeInMs: number | undefined;
  let guess: Guess | undefined;
  // After a failure there is no second guess, or a dead fleet would see every request twice.
  const mayGuess = tried.length === 0 && request.share === undefined && request.pressureBelow === undefined;

  return {
    get refusal() {
      return refusal;
    },
    get freeInMs() {
      return freeInMs;
    },
    get guess() {
      return guess;
    },
    weigh(endpoint, tier, exclusion) {
      if (isFull(endpoint, exclusion)) {
        if (endpoint.peer !== undefined) refusal = exclusion === "over-share" ? "over-share" : "pool-full";
        else if (worthWaitingMs(endpoint, request, request.deadline - now, now) <= 0)
          refusal = fullReason(endpoint, request, exclusion === "over-share");
        const waitMs = endpoint.expectedWaitMs() ?? admissionRule.retryAfterMs;
        freeInMs = Math.min(freeInMs ?? Number.POSITIVE_INFINITY, waitMs);
      } else if (exclusion === "too-slow") {
        refusal = "too-late";
      } else if (exclusion === "share-full" || exclusion === "pressed") {
        // Its room is part of the share, so there is nothing to wait in; and who yields to all never waits in one.
        refusal = "pool-full";
      } else if (mayGuess) {
        const rank = guessRank(exclusion);
        const better = rank !== undefined && (guess === undefined || rank < guess.rank);
        if (better && hasRoom(endpoint, now)) guess = { endpoint, tier, rank };
      }
    },
  };
}

/** A peer that is pushed back has refused what it had no slot for; an engine may merely want a breath. */
const isFull = ({ peer }: EndpointView, exclusion: Exclusion): boolean =>
  exclusion === "full" ||
  exclusion === "over-share" ||
  (peer !== undefined && (exclusion === "pushed-back" || exclusion === "spoken-for"));

/** Whatever we think of it ourselves; what others say of a peer is not for guessing. */
function hasRoom({ inflight, spec, peer }: EndpointView, now: Instant): boolean {
  if (peer === undefined) return inflight < spec.slots;
  return !peer.host.suspect && peer.freeSlots(now) >= 1 && peer.permits(now);
}

function fullReason(endpoint: EndpointView, request: RoutingRequest, isOverShare: boolean): ShedReason {
  if (isOverShare) return "over-share";
  if (endpoint.spec.queueLimit === 0) return "pool-full";
  return hasPlace(endpoint, request) ? "too-late" : "queue-full";
}
