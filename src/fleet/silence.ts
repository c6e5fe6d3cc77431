// Whether an endpoint that owes answers has gone quiet. It only says when to look and how long to wait for the
// look; asking the one-token question is for those above the waterline.
//
// Silent means: requests in flight, no byte on any connection for the limit, and a one-token question sent at
// that moment unanswered for as long again. A hung vLLM passes every health check, so nothing less will do.

import type { Instant } from "../base/clock.ts";

export const silenceRule = {
  leastMs: 100,
  /** Times the 99th percentile of the first byte of like requests. */
  timesP99: 3,
  /** Used while too few like answers are known to have a percentile: a slow engine's single token must fit. */
  unknownMs: 500,
  /** The same where only whole answers are awaited, whose length is anybody's choice. */
  unknownWholeMs: 1000,
  /** After a look that found life, the next one waits this long, and twice as long each time nothing is heard. */
  lookAgainMs: 250,
  lookAgainMostMs: 2000,
} as const;

/** How long an endpoint may be quiet before somebody looks. `p99Ms` is of like requests: streams, or whole answers. */
export function quietLimitMs(stream: boolean, p99Ms: number | undefined): number {
  if (p99Ms === undefined) return stream ? silenceRule.unknownMs : silenceRule.unknownWholeMs;
  return Math.max(silenceRule.leastMs, silenceRule.timesP99 * p99Ms);
}

export interface Silence {
  readonly silent: boolean;
  /** A request was sent; it owes a first byte. */
  owed(now: Instant): void;
  /** Any byte from the endpoint, on any connection. Answers whether this ended a silence. */
  heard(now: Instant): boolean;
  /** Nothing is owed any more: quiet is peace. */
  settled(): void;
  /** A caller left without having had a byte: a reason to look now instead of at the limit. */
  abandoned(): void;
  /** Whether somebody should look now. */
  due(limitMs: number, now: Instant): boolean;
  looking(now: Instant): void;
  /** The look's result, which counts only if nothing was heard since it began. Answers whether silence begins. */
  looked(answered: boolean, now: Instant): boolean;
}

export function createSilence(): Silence {
  let silent = false;
  /** Since when something has been owed without a byte from anywhere. */
  let quietSince: Instant | undefined;
  let heardAt: Instant | undefined;
  let lookBegan: Instant | undefined;
  let notBefore = 0;
  let looks = 0;
  let hurried = false;

  return {
    get silent() {
      return silent;
    },
    owed(now) {
      quietSince ??= now;
    },
    heard(now) {
      // With nothing owed, a late byte or an answered question must not start the clock.
      if (quietSince !== undefined) quietSince = now;
      heardAt = now;
      hurried = false;
      looks = 0;
      const ended = silent;
      silent = false;
      return ended;
    },
    settled() {
      quietSince = undefined;
      // `hurried` stays: a caller who left an endpoint with nothing else in flight is still a reason to look.
    },
    abandoned() {
      hurried = true;
    },
    due(limitMs, now) {
      if (silent || lookBegan !== undefined || now < notBefore) return false;
      return hurried || (quietSince !== undefined && now - quietSince >= limitMs);
    },
    looking(now) {
      lookBegan = now;
      hurried = false;
    },
    looked(answered, now) {
      const began = lookBegan ?? now;
      lookBegan = undefined;
      notBefore = now + Math.min(silenceRule.lookAgainMostMs, silenceRule.lookAgainMs * 2 ** looks);
      looks += 1;
      const heardSince = heardAt !== undefined && heardAt > began;
      if (answered || heardSince) return false;
      silent = true;
      return true;
    },
  };
}
