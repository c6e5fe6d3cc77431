// Whether it is worth starting, or waiting: nothing is admitted that cannot finish in the time it has.

import type { Instant } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { EndpointView } from "../fleet/endpoint-state.ts";

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

/** However small the share, one slot is in it. */
const shareOf = (slots: number, share: number): number => Math.max(1, Math.floor(share * slots));

/** Whether the waiting room has a place whose turn is likely to come in time. */
export function worthWaiting(endpoint: EndpointView, leftMs: number): boolean {
  return endpoint.waiting < endpoint.spec.queueLimit && (endpoint.expectedWaitMs() ?? 0) < leftMs;
}

/** When a slot is likely to be free again, spread by ±25 % so that the shed do not all return at once. */
export function retryAfterMs(usualMs: number, random: Random): number {
  const spread = usualMs * (0.75 + 0.5 * random());
  return Math.ceil(Math.min(admissionRule.retryAfterMostMs, Math.max(1, spread)));
}
