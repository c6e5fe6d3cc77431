// How long a slot is held until the answer is whole, by likes: requests of one class, streams and whole answers apart,
// because a one-liner is no story.

import type { Instant } from "../base/clock.ts";
import { createHalfLife } from "../base/half-life.ts";
import type { Histogram } from "../base/histogram.ts";
import { createHistogram, decay, observe, quantile } from "../base/histogram.ts";
import { boundsMs, latencyRule } from "./latency.ts";

export const holdRule = {
  /** Classes are few; whatever else should come is not told apart. */
  likesMost: 8,
  /** Enough is what so many of the answers took at most. Those that get less are cut, after all the work for them. */
  enoughShare: 0.9,
} as const;

interface Likes {
  readonly held: Histogram;
  readonly faded: (now: Instant) => number;
  enoughMs: number | undefined;
}

export function createHoldTimes() {
  const streamed = new Map<string, Likes>();
  const whole = new Map<string, Likes>();

  const likesOf = (like: string, stream: boolean): Likes | undefined => {
    const all = stream ? streamed : whole;
    const known = all.get(like);
    if (known !== undefined || all.size >= holdRule.likesMost) return known;
    const faded = createHalfLife(latencyRule.halfLifeMs);
    const fresh: Likes = { held: createHistogram(boundsMs), faded, enoughMs: undefined };
    all.set(like, fresh);
    return fresh;
  };

  return {
    add(like: string, stream: boolean, ms: number, now: Instant): void {
      const likes = likesOf(like, stream);
      if (likes === undefined) return;
      const left = likes.faded(now);
      if (left < 1) decay(likes.held, left);
      observe(likes.held, ms);
      const isKnown = likes.held.count >= latencyRule.enoughAnswers;
      likes.enoughMs = isKnown ? quantile(likes.held, holdRule.enoughShare) : undefined;
    },
    /** Undefined while too few are known. */
    enoughMs: (like: string, stream: boolean): number | undefined =>
      (stream ? streamed : whole).get(like)?.enoughMs,
  };
}
