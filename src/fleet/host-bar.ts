// Whether a peer's host is left alone since it refused or reset a call: for the moment that any endpoint is, and until its
// router has spoken since. What is dead says nothing more, while gossip needs seconds to be sure of it.

import type { Instant } from "../base/clock.ts";

export interface HostBar {
  bar(leastMs: number, now: Instant): void;
  /** Its router has said something; `at` is its own clock then. */
  heard(at: number, now: Instant): void;
  barred(now: Instant): boolean;
}

const hostBarRule = {
  /** Clocks drift, and a machine that was paused is behind from then on: an old lead says nothing. */
  leadMs: 60_000,
} as const;

export function createHostBar(): HostBar {
  let until: Instant = 0;
  let since: Instant | undefined;
  /** How far its clock is ahead of ours, at least: words arrive later than they are said. Of this minute and the last. */
  let aheadMs = Number.NEGATIVE_INFINITY;
  let aheadBeforeMs = Number.NEGATIVE_INFINITY;
  let minuteBegan: Instant | undefined;

  return {
    bar(leastMs, now) {
      until = now + leastMs;
      since = now;
    },
    heard(at, now) {
      minuteBegan ??= now;
      if (now - minuteBegan >= hostBarRule.leadMs) {
        aheadBeforeMs = aheadMs;
        aheadMs = Number.NEGATIVE_INFINITY;
        minuteBegan = now;
      }
      aheadMs = Math.max(aheadMs, at - now);
      // Gossip brings what a dead router said before for a while yet.
      if (since !== undefined && at > since + Math.max(aheadMs, aheadBeforeMs)) since = undefined;
    },
    barred: (now) => now < until || since !== undefined,
  };
}
