// How long an endpoint takes: to the first byte, for streams and for whole answers apart, since the two
// differ by a hundredfold and silence is judged by like requests.

import type { Instant } from "../base/clock.ts";
import { createHalfLife } from "../base/half-life.ts";
import { createHistogram, decay, observe, quantile } from "../base/histogram.ts";

/** 1 ms to 10 min in steps of a fifth. */
export const boundsMs: readonly number[] = Array.from({ length: 74 }, (_, step) => 1.2 ** step);

export const latencyRule = {
  halfLifeMs: 60_000,
  /** Fewer than this many answers say nothing about a 99th percentile. */
  enoughAnswers: 5,
} as const;
const { halfLifeMs, enoughAnswers } = latencyRule;
/** A median of now: of this window, or of the one before where this has too few. */
const recentMs = 5000;

export interface Latency {
  add(stream: boolean, firstByteMs: number, totalMs: number, now: Instant): void;
  /** One that would have taken longer than this, had it not been ended. */
  atLeast(stream: boolean, ms: number, now: Instant): void;
  /** Upper bound of the quantile, or undefined while too few answers are known. */
  firstByteMs(stream: boolean, q: number): number | undefined;
  /** Median of the streams of the last five to ten seconds; undefined where there were too few. */
  recentFirstByteMs(now: Instant): number | undefined;
  /** Smoothed time a slot is held, or undefined before the first answer. */
  holdMs(): number | undefined;
}

export function createLatency(): Latency {
  const streamed = createHistogram(boundsMs);
  const whole = createHistogram(boundsMs);
  let heldMs: number | undefined;
  const faded = createHalfLife(halfLifeMs);
  let recent = createHistogram(boundsMs);
  let before = createHistogram(boundsMs);
  let recentSince = 0;
  /** Asked at every decision, so it is worked out once a change instead. */
  let medianMs: number | undefined;
  let medianKnown = true;

  const age = (now: Instant): void => {
    const left = faded(now);
    if (left === 1) return;
    decay(streamed, left);
    decay(whole, left);
  };

  const firstByteMs = (stream: boolean, q: number): number | undefined => {
    const histogram = stream ? streamed : whole;
    return histogram.count < enoughAnswers ? undefined : quantile(histogram, q);
  };

  const turn = (now: Instant): void => {
    if (now - recentSince < recentMs) return;
    before = now - recentSince < 2 * recentMs ? recent : createHistogram(boundsMs);
    recent = createHistogram(boundsMs);
    recentSince = now;
    medianKnown = false;
  };

  const note = (stream: boolean, ms: number, now: Instant): void => {
    age(now);
    turn(now);
    if (stream) observe(recent, ms);
    observe(stream ? streamed : whole, ms);
    medianKnown = false;
  };

  return {
    add(stream, firstByteMs, totalMs, now) {
      note(stream, firstByteMs, now);
      heldMs = heldMs === undefined ? totalMs : heldMs * 0.9 + totalMs * 0.1;
    },
    atLeast: note,
    firstByteMs,
    recentFirstByteMs(now) {
      turn(now);
      if (!medianKnown) {
        const enough = [recent, before].find(({ count }) => count >= enoughAnswers);
        medianMs = enough === undefined ? undefined : quantile(enough, 0.5);
        medianKnown = true;
      }
      return medianMs;
    },
    holdMs: () => heldMs,
  };
}
