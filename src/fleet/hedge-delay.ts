// After how long a wait for a first byte a second call elsewhere is likely to be the first to answer. Calls that were cut
// off before their first byte count as well, as having lasted at least so long: without them whoever loses to hedges
// would look the faster for it.

import type { Instant } from "../base/clock.ts";
import { createHalfLife } from "../base/half-life.ts";
import type { Histogram } from "../base/histogram.ts";
import { createHistogram, decay, observe } from "../base/histogram.ts";

export const hedgeDelayRule = {
  /** Fewer answers than this have no tail worth the name. */
  answersLeast: 64,
  /** So many of the calls known must have lasted beyond the moment at which a second one would answer. */
  laterLeast: 3,
  /** The part of the calls that may still wait when a hedge starts: more than this is no tail, less is an accident. */
  waitingMost: 0.15,
  waitingLeast: 0.01,
  /** Of those who have waited so long, the part that must wait longer than a second call would take. */
  likely: 2 / 3,
  /** What a second call costs beside the usual first byte. */
  marginMs: 5,
  /** Worked out anew after so many calls. */
  everyCalls: 16,
  halfLifeMs: 60_000,
} as const;

/** 1 ms to 5 min in steps of a tenth: a delay that is late by a fifth would miss the edge of a narrow distribution. */
const boundsMs: readonly number[] = Array.from({ length: 133 }, (_, step) => 1.1 ** step);

export interface HedgeDelay {
  answered(firstByteMs: number, now: Instant): void;
  /** It was ended without a first byte, after so long. */
  cutOff(afterMs: number, now: Instant): void;
  /** Undefined: a second call is not likely to be first, or too little is known. */
  readonly afterMs: number | undefined;
}

export function createHedgeDelay(): HedgeDelay {
  const answers = createHistogram(boundsMs);
  const cuts = createHistogram(boundsMs);
  const faded = createHalfLife(hedgeDelayRule.halfLifeMs);
  let calls = 0;
  let afterMs: number | undefined;

  const add = (histogram: Histogram, ms: number, now: Instant): void => {
    const left = faded(now);
    if (left < 1) {
      decay(answers, left);
      decay(cuts, left);
    }
    observe(histogram, ms);
    calls += 1;
    if (calls % hedgeDelayRule.everyCalls === 0) afterMs = delayOf(answers, cuts);
  };

  return {
    answered: (firstByteMs, now) => add(answers, firstByteMs, now),
    cutOff: (lastedMs, now) => add(cuts, lastedMs, now),
    get afterMs() {
      return afterMs;
    },
  };
}

/** The earliest moment at which few still wait, and most of those will wait longer than a second call. */
function delayOf(answers: Histogram, cuts: Histogram): number | undefined {
  const { answersLeast, laterLeast, waitingMost, waitingLeast, likely, marginMs } = hedgeDelayRule;
  if (answers.count < answersLeast) return undefined;
  const waiting = stillWaiting(answers, cuts);
  const middle = waiting.findIndex((part) => part <= 0.5);
  const secondMs = (boundsMs[middle] ?? Number.POSITIVE_INFINITY) + marginMs;
  const all = answers.count + cuts.count;
  let then = 0;
  for (let at = middle; at >= 0 && at < boundsMs.length; at += 1) {
    const now = waiting[at] ?? 0;
    if (now > waitingMost) continue;
    if (now < waitingLeast) return undefined;
    const delayMs = boundsMs[at] ?? 0;
    while (then < boundsMs.length && (boundsMs[then] ?? 0) < delayMs + secondMs) then += 1;
    const later = waiting[then] ?? 0;
    if (later >= likely * now && later * all >= laterLeast) return delayMs;
  }
  return undefined;
}

/** For each bound the part of the calls that last longer, as Kaplan and Meier estimate it where some are cut off. */
function stillWaiting(answers: Histogram, cuts: Histogram): Float64Array {
  const parts = new Float64Array(boundsMs.length);
  let known = answers.count + cuts.count;
  let part = 1;
  for (let at = 0; at < parts.length; at += 1) {
    const ended = answers.counts[at] ?? 0;
    if (known > 0) part *= Math.max(0, 1 - ended / known);
    parts[at] = part;
    known -= ended + (cuts.counts[at] ?? 0);
  }
  return parts;
}
