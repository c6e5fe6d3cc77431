// The whole policy. No I/O, no clock of its own, no hidden state: fallback, retry, local-first and shedding are
// answers of this one function.

import type { Instant } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Tier } from "../fleet/endpoint.ts";
import type { EndpointView } from "../fleet/endpoint-state.ts";
import type { FleetView } from "../fleet/fleet.ts";
import { admissionRule, retryAfterMs, worthWaiting } from "./admission.ts";
import { guessRank, whyNot } from "./candidates.ts";
import type { Decision, ShedReason, TryReason } from "./decision.ts";
import type { RoutingRequest, Tried } from "./request.ts";

/** `tried`: the attempts that are over, oldest first; the endpoints in it are not chosen again. */
export function route(
  request: RoutingRequest,
  fleet: FleetView,
  tried: readonly Tried[],
  now: Instant,
  random: Random,
): Decision {
  const leftMs = request.deadline - now;
  if (leftMs <= 0) {
    return {
      do: "shed",
      because: "too-late",
      retryAfterMs: retryAfterMs(admissionRule.retryAfterMs, random),
    };
  }
  let guess: { endpoint: EndpointView; tier: Tier; rank: number } | undefined;
  let refusal: ShedReason = "no-endpoint";
  let freeInMs: number | undefined;

  for (const { tier, balance } of request.ladder) {
    let ready: [EndpointView, ...EndpointView[]] | undefined;
    let room: EndpointView | undefined;
    for (const endpoint of fleet.inTier(tier)) {
      const exclusion = whyNot(endpoint, request, tried, now);
      if (exclusion === undefined) {
        if (ready === undefined) ready = [endpoint];
        else ready.push(endpoint);
      } else if (exclusion === "full") {
        if (!worthWaiting(endpoint, leftMs)) refusal = fullReason(endpoint);
        else if (room === undefined || endpoint.waiting < room.waiting) room = endpoint;
        freeInMs = Math.min(
          freeInMs ?? Number.POSITIVE_INFINITY,
          endpoint.expectedWaitMs() ?? admissionRule.retryAfterMs,
        );
      } else if (exclusion === "too-slow") {
        refusal = "too-late";
      } else {
        const rank = guessRank(exclusion);
        // After a failure there is no second guess, or a dead fleet would see every request twice.
        const better = rank !== undefined && tried.length === 0 && (guess === undefined || rank < guess.rank);
        if (better && endpoint.inflight < endpoint.spec.slots) guess = { endpoint, tier, rank };
      }
    }
    if (ready !== undefined) {
      const endpoint = ready.length === 1 ? ready[0] : balance(ready, now, random);
      return { do: "try", endpoint, because: becauseOf(tier, request, tried) };
    }
    if (room !== undefined) return { do: "wait", endpoint: room, because: "local-full", maxWaitMs: leftMs };
  }

  // Nobody looks well: a guess is better than a refusal, and an answer is the best health check.
  if (guess !== undefined && refusal === "no-endpoint") {
    const because = guess.rank === 0 ? becauseOf(guess.tier, request, tried) : "panic";
    return { do: "try", endpoint: guess.endpoint, because };
  }
  const waitMs =
    freeInMs ??
    (refusal === "no-endpoint" ? admissionRule.noEndpointRetryAfterMs : admissionRule.retryAfterMs);
  return { do: "shed", because: refusal, retryAfterMs: retryAfterMs(waitMs, random) };
}

function becauseOf(tier: Tier, request: RoutingRequest, tried: readonly Tried[]): TryReason {
  const top = request.ladder[0]?.tier ?? tier;
  if (tier !== top) return `fallback-from-${top}`;
  const last = tried.at(-1);
  return last === undefined ? "local-first" : `retry-after-${last.outcome}`;
}

function fullReason({ spec, waiting }: EndpointView): ShedReason {
  if (spec.queueLimit === 0) return "pool-full";
  return waiting >= spec.queueLimit ? "queue-full" : "too-late";
}
