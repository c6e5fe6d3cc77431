// Whether it is worth starting, or waiting: nothing is admitted that cannot finish in the time it has.

import type { Instant } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Tier } from "../fleet/endpoint.ts";
import type { EndpointView } from "../fleet/endpoint-view.ts";
import type { Flow, Holds } from "../fleet/flows.ts";
import { shareOf } from "../fleet/flows.ts";
import type { Shed, ShedReason } from "./decision.ts";
import type { RoutingRequest } from "./request.ts";

export const admissionRule = {
  /** What a shed caller is told to wait, before jitter, where nothing better is known. */
  retryAfterMs: 250,
  noEndpointRetryAfterMs: 1000,
  retryAfterMostMs: 60_000,
} as const;

/**
 * False where the usual first byte of a stream comes later than the time left. Whole answers are not judged:
 * their length is the caller's choice, so others' times say nothing.
 */
export function canAnswerIn(endpoint: EndpointView, stream: boolean, leftMs: number, now: Instant): boolean {
  // An idle endpoint is always worth a try: its last figures may be those of a bad hour.
  if (!stream || endpoint.inflight === 0) return true;
  const usualMs = endpoint.recentFirstByteMs(now);
  return usualMs === undefined || usualMs < leftMs;
}

/** Whether the requests with a share hold what they may of this endpoint. */
export const shareFull = (endpoint: EndpointView, share: number): boolean =>
  endpoint.sharing >= shareOf(endpoint.spec.slots, share);

/** Waiters are owed the next slots, whatever the pressure says. */
export const isPressed = (endpoint: EndpointView, pressureBelow: number, now: Instant): boolean =>
  endpoint.waiting > 0 || endpoint.pressure(now) >= pressureBelow;

/** NPCs' questions and jobs are bounded by other means, and take nobody's place. A hedge is a caller's. */
const isBounded = ({ share, pressureBelow, beside }: RoutingRequest): boolean =>
  share !== undefined || (pressureBelow !== undefined && beside !== true);

/** Whether the tier is for others, who must not suffer for what happens elsewhere. Realtime has nowhere better to be. */
const isSpilled = ({ sla, ladder, spilled }: RoutingRequest, tier: Tier): boolean =>
  spilled === true || (sla !== "realtime" && ladder[0]?.tier !== tier);

/** Most requests say nothing of whose they are, and hold their places on one of these terms. */
const nobody: Flow = {};
const anonymous: Holds = { flow: nobody, spilled: false };
const anonymousSpilled: Holds = { flow: nobody, spilled: true };

/** On which terms the request has a place in that tier. */
export function holdsIn(tier: Tier, request: RoutingRequest): Holds {
  if (isBounded(request)) return { shares: request.share !== undefined };
  const { caller, session } = request;
  const spilled = isSpilled(request, tier);
  if (caller === undefined && session === undefined) return spilled ? anonymousSpilled : anonymous;
  return { flow: { caller, session }, spilled };
}

/** Whether it must leave what is free to others. */
export function overShare(endpoint: EndpointView, request: RoutingRequest, now: Instant): boolean {
  const spilled = isSpilled(request, endpoint.spec.tier);
  // Asked for every endpoint of every decision, and most requests are nobody's in particular or at home.
  if (!spilled && request.session === undefined && request.caller === undefined) return false;
  return !isBounded(request) && endpoint.overShare(request, spilled, now);
}

/** Whether the waiting room has a place, or somebody in it to make one. */
export function hasPlace(endpoint: EndpointView, request: RoutingRequest): boolean {
  const { waiting, spec } = endpoint;
  if (waiting < spec.queueLimit) return true;
  return waiting > 0 && spec.queueLimit > 0 && endpoint.displaces(holdsIn(spec.tier, request));
}

/** The time that its answer is likely to need once it has a slot. */
function answerMs(endpoint: EndpointView, request: RoutingRequest, now: Instant): number {
  // A question of one token is not judged by others' answers.
  if (request.oneToken === true || isBounded(request)) return 0;
  const { sla, stream, deadline, receivedAt = now } = request;
  const enoughMs = endpoint.enoughMs(sla, stream);
  // Who never had as much time as the others need asks for less than they do.
  if (enoughMs !== undefined && enoughMs < deadline - receivedAt) return enoughMs;
  return endpoint.leastMs(stream) ?? 0;
}

/** How long the request may wait there, of so long, and still be answered; 0 or less where it is not worth it. */
export function worthWaitingMs(
  endpoint: EndpointView,
  request: RoutingRequest,
  withinMs: number,
  now: Instant,
): number {
  if (!hasPlace(endpoint, request)) return 0;
  const { deadline } = request;
  const inTimeMs = Math.min(withinMs, deadline - now - answerMs(endpoint, request, now));
  const waitMs = endpoint.expectedWaitMs(holdsIn(endpoint.spec.tier, request), deadline, now) ?? 0;
  return waitMs < inTimeMs ? inTimeMs : 0;
}

/** When a slot is likely to be free again, spread by ±25 % so that the shed do not all return at once. */
export function retryAfterMs(usualMs: number, random: Random): number {
  const spread = usualMs * (0.75 + 0.5 * random());
  return Math.ceil(Math.min(admissionRule.retryAfterMostMs, Math.max(1, spread)));
}

export const shed = (because: ShedReason, usualMs: number, random: Random): Shed => ({
  do: "shed",
  because,
  retryAfterMs: retryAfterMs(usualMs, random),
});
