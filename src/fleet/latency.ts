// How long an endpoint takes: to the first byte, for streams and for whole answers apart, since the two
// differ by a hundredfold and silence is judged by like requests.

import type { Instant } from "../base/clock.ts";
import { createHistogram, decay, observe, quantile } from "../base/histogram.ts";

/** 1 ms to 10 min in steps of a fifth. */
const boundsMs: readonly number[] = Array.from({ length: 74 }, (_, step) => 1.2 ** step);

const halfLifeMs = 60_000;
/** Fewer than this many answers say nothing about a 99th percentile. */
const enoughAnswers = 5;
const recentMs = 10_000;

export interface Latency {
  add(stream: boolean, firstByteMs: number, totalMs: number, now: Instant): void;
  /** Upper bound of the quantile, or undefined while too few answers are known. */
  firstByteMs(stream: boolean, q: number): number | undefined;
  /** Median of streams, or undefined where the last one is too long ago to speak for now. */
  recentFirstByteMs(now: Instant): number | undefined;
  /** Smoothed time a slot is held, or undefined before the first answer. */
  holdMs(): number | undefined;
}

export function createLatency(): Latency {
  const streamed = createHistogram(boundsMs);
  const whole = createHistogram(boundsMs);
  let heldMs: number | undefined;
  let decayedAt: Instant | undefined;
  let streamedAt = Number.NEGATIVE_INFINITY;
  /** Asked at every decision, so it is worked out once a change instead. */
  let medianMs: number | undefined;
  let medianKnown = true;

  const age = (now: Instant): void => {
    decayedAt ??= now;
    const halvings = Math.floor((now - decayedAt) / halfLifeMs);
    if (halvings <= 0) return;
    decayedAt += halvings * halfLifeMs;
    decay(streamed, 0.5 ** halvings);
    decay(whole, 0.5 ** halvings);
  };

  const firstByteMs = (stream: boolean, q: number): number | undefined => {
    const histogram = stream ? streamed : whole;
    return histogram.count < enoughAnswers ? undefined : quantile(histogram, q);
  };

  return {
    add(stream, firstByteMs, totalMs, now) {
      age(now);
      if (stream) streamedAt = now;
      observe(stream ? streamed : whole, firstByteMs);
      medianKnown = false;
      heldMs = heldMs === undefined ? totalMs : heldMs * 0.9 + totalMs * 0.1;
    },
    firstByteMs,
    recentFirstByteMs(now) {
      if (now - streamedAt > recentMs) return undefined;
      if (!medianKnown) {
        medianMs = firstByteMs(true, 0.5);
        medianKnown = true;
      }
      return medianMs;
    },
    holdMs: () => heldMs,
  };
}
