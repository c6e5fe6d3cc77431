// The whole policy. No I/O, no clock of its own, no hidden state: fallback, retry, local-first, peers, the async lane
// and shedding are answers of this one function.

import type { Instant } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Tier } from "../fleet/endpoint.ts";
import type { EndpointView } from "../fleet/endpoint-view.ts";
import type { FleetView } from "../fleet/fleet.ts";
import { admissionRule, shed, worthWaitingMs } from "./admission.ts";
import { byAffinity } from "./affinity.ts";
import { andAway } from "./away.ts";
import { whyNot } from "./candidates.ts";
import { choosePeer, lookOver } from "./choose-peer.ts";
import type { AwayReason, Decision, Exclusion, ShedReason, TryReason, Wait } from "./decision.ts";
import { hedgeAfterMs } from "./hedging.ts";
import type { Leftover } from "./leftover.ts";
import { createLeftover } from "./leftover.ts";
import type { RoutingRequest, Tried } from "./request.ts";
import type { Rung } from "./sla.ts";

/** `tried`: the attempts that are over, oldest first; the endpoints in it are not chosen again. */
export function route(
  request: RoutingRequest,
  fleet: FleetView,
  tried: readonly Tried[],
  now: Instant,
  random: Random,
): Decision {
  const leftMs = request.deadline - now;
  if (leftMs <= 0) return shed("too-late", admissionRule.retryAfterMs, random);
  if (request.only !== undefined) return routeForwarded(request, request.only, fleet, tried, now, random);
  const { session, deadline, waitsUntil = deadline } = request;
  const soonMs = Math.min(deadline, waitsUntil) - now;
  /** Worth waiting for where nobody has room soon. */
  let lastRoom: EndpointView | undefined;
  let lastWaitMs = 0;
  /** Made when it is needed: most requests find a free slot at once. */
  let left: Leftover | undefined;

  const attempt = (endpoint: EndpointView, rung: Rung, otherwise: TryReason): Decision => ({
    do: "try",
    endpoint,
    because: becauseOf(otherwise, rung.tier, request, tried),
    hedgeAfterMs: hedgeAfterMs(request, rung, endpoint, fleet, leftMs),
  });

  for (const rung of request.ladder) {
    const { tier, balance } = rung;
    if (tier === laneTier && laneTakes(request, leftMs)) return { do: "defer", because: "deferred" };
    const places = fleet.places(tier);
    let ready: [EndpointView, ...EndpointView[]] | undefined;
    let room: EndpointView | undefined;
    let maxWaitMs = 0;
    let away: AwayReason = "not-local";
    for (const endpoint of places.local) {
      const exclusion = whyNot(endpoint, request, tried, now);
      if (exclusion === undefined) {
        if (ready === undefined) ready = [endpoint];
        else ready.push(endpoint);
        continue;
      }
      away = andAway(away, exclusion);
      left ??= createLeftover(request, tried, now);
      left.weigh(endpoint, tier, exclusion);
      if (exclusion !== "full" && exclusion !== "over-share") continue;
      if (room !== undefined && endpoint.waiting >= room.waiting) continue;
      const waitMs = worthWaitingMs(endpoint, request, soonMs, now);
      if (waitMs > 0) {
        room = endpoint;
        maxWaitMs = waitMs;
      } else if (soonMs < leftMs && (lastRoom === undefined || isEmptier(endpoint, lastRoom))) {
        const lateMs = worthWaitingMs(endpoint, request, leftMs, now);
        if (lateMs <= 0) continue;
        lastRoom = endpoint;
        lastWaitMs = lateMs;
      }
    }
    if (ready !== undefined) {
      if (ready.length === 1) return attempt(ready[0], rung, "local-first");
      if (session !== undefined) return attempt(byAffinity(ready, session, now), rung, "affinity");
      return attempt(balance(ready, now, random), rung, "local-first");
    }

    if (
      places.near.length + places.far.length > 0 &&
      !((room ?? lastRoom) !== undefined && isBounced(tried))
    ) {
      const toPeer = (peer: EndpointView): Decision => {
        // What is wrong here says more than whose session it is.
        const wellHere = away === "peer-less-pressed" || away === "not-local";
        return attempt(peer, rung, session !== undefined && wellHere ? "affinity" : away);
      };
      const peer = choosePeer(places, request, tried, now, random);
      if (peer !== undefined) return toPeer(peer);
      left ??= createLeftover(request, tried, now);
      const { weigh } = left;
      const { joining, suspect } = lookOver(places, request, tried, now, (unready, exclusion) =>
        weigh(unready, tier, exclusion),
      );
      if (joining !== undefined) return toPeer(joining);
      // Whoever asks for a share has another answer at hand, and needs nobody who is doubted.
      const mayDoubt = request.share === undefined && request.pressureBelow === undefined;
      if (suspect !== undefined && fleet.panic && mayDoubt)
        return { do: "try", endpoint: suspect, because: "panic" };
    }
    if (room !== undefined) return waitIn(room, maxWaitMs, false);
  }
  if (lastRoom !== undefined) return waitIn(lastRoom, lastWaitMs, true);

  const { guess, refusal = "no-endpoint", freeInMs } = left ?? {};
  if (refusal !== "no-endpoint") return shed(refusal, freeInMs ?? admissionRule.retryAfterMs, random);
  // Nobody looks well: a guess is better than a refusal, and an answer is the best health check.
  if (guess !== undefined) {
    if (guess.rank > 0) return { do: "try", endpoint: guess.endpoint, because: "panic" };
    const because = becauseOf("local-first", guess.tier, request, tried);
    return { do: "try", endpoint: guess.endpoint, because };
  }
  const because = request.elsewhere === true ? "draining" : "no-endpoint";
  return shed(because, freeInMs ?? admissionRule.noEndpointRetryAfterMs, random);
}

/** Who forwarded it has chosen already, and goes on choosing: no queue, no guess, no other endpoint. */
function routeForwarded(
  request: RoutingRequest,
  only: string,
  fleet: FleetView,
  tried: readonly Tried[],
  now: Instant,
  random: Random,
): Decision {
  const endpoint = fleet.named(only);
  if (endpoint === undefined || endpoint.peer !== undefined) {
    return shed("no-endpoint", admissionRule.noEndpointRetryAfterMs, random);
  }
  const exclusion = whyNot(endpoint, request, tried, now);
  if (exclusion === undefined) return { do: "try", endpoint, because: "local-only" };
  const refusal = refusalOfForwarded[exclusion] ?? "no-endpoint";
  return shed(refusal, endpoint.expectedWaitMs() ?? admissionRule.retryAfterMs, random);
}

/** Why their request is not taken; whatever is not here says that the endpoint is none for it. */
const refusalOfForwarded: Readonly<Partial<Record<Exclusion, ShedReason>>> = {
  full: "pool-full",
  "share-full": "pool-full",
  "pushed-back": "pool-full",
  "over-share": "over-share",
  "too-slow": "too-late",
};

const waitIn = (endpoint: EndpointView, maxWaitMs: number, isLate: boolean): Wait => ({
  do: "wait",
  endpoint,
  because: "local-full",
  maxWaitMs,
  isLate,
});

/** The rung on which the async lane stands. */
const laneTier: Tier = "bronze";

const laneTakes = ({ laneMs }: RoutingRequest, leftMs: number): boolean =>
  laneMs !== undefined && laneMs < leftMs;

/** Whether nobody is asked before the lane. */
export const beginsInLane = ({ ladder, laneMs }: RoutingRequest): boolean =>
  laneMs !== undefined && ladder[0]?.tier === laneTier;

/** Whether the lane is what is left to a request whose attempts are used up. */
export const endsInLane = (request: RoutingRequest, now: Instant): boolean =>
  request.ladder.some(({ tier }) => tier === laneTier) && laneTakes(request, request.deadline - now);

/** Of one tier; a higher rung's room is not left for a lower one's. */
const isEmptier = (room: EndpointView, than: EndpointView): boolean =>
  room.spec.tier === than.spec.tier && room.waiting < than.waiting;

const routeRule = { bouncesMost: 2 } as const;

/** So many peers had no room after all that the news must be old: a place in our own room is surer than one more of them. */
export function isBounced(tried: readonly Tried[]): boolean {
  let bounces = 0;
  for (const { outcome } of tried) if (outcome === "busy" || outcome === "over-share") bounces += 1;
  return bounces >= routeRule.bouncesMost;
}

/** `otherwise` is the reason where the rung is the first and the attempt as well. */
function becauseOf(
  otherwise: TryReason,
  tier: Tier,
  request: RoutingRequest,
  tried: readonly Tried[],
): TryReason {
  const top = request.ladder[0]?.tier ?? tier;
  if (tier !== top) return `fallback-from-${top}`;
  const last = tried.at(-1);
  return last === undefined ? otherwise : `retry-after-${last.outcome}`;
}
