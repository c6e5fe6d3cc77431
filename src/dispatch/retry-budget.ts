// The one budget that retries, overflow and hedges share: a tenth of the requests, and three a second.
// It holds ten seconds of earnings, at least the largest pool, so that one dying engine can be left by all at once.

import type { Instant } from "../base/clock.ts";
import { tokenBucket } from "../base/token-bucket.ts";

const retryBudgetRule = { share: 0.1, hedgesLeave: 0.5, perSecond: 3, depthMs: 10_000 } as const;

export interface RetryBudget {
  /** A request came in and earns its share. */
  earn(now: Instant): void;
  /** Whether `spend` would pay. */
  covers(now: Instant): boolean;
  /** Pays for one attempt that is not the first, or says that there is nothing left. */
  spend(now: Instant): boolean;
  /** The same for a hedge, which nobody needs: half of what the bucket holds is left to those who have nothing else. */
  spendOnHedge(now: Instant): boolean;
}

/** `leastSize()` is the largest `max_concurrent` of the fleet. */
export function createRetryBudget(leastSize: () => number, now: Instant): RetryBudget {
  const depthSeconds = retryBudgetRule.depthMs / 1000;
  let windowBegan = now;
  let inWindow = 0;
  let inLastWindow = 0;

  const size = (): number => {
    const earned = retryBudgetRule.share * Math.max(inWindow, inLastWindow);
    return Math.max(leastSize(), retryBudgetRule.perSecond * depthSeconds + earned);
  };
  const bucket = tokenBucket(retryBudgetRule.perSecond, size, now);

  return {
    earn(at) {
      if (at - windowBegan >= retryBudgetRule.depthMs) {
        inLastWindow = at - windowBegan < 2 * retryBudgetRule.depthMs ? inWindow : 0;
        inWindow = 0;
        windowBegan = at;
      }
      inWindow += 1;
      bucket.deposit(retryBudgetRule.share, at);
    },
    covers: (at) => bucket.level(at) >= 1,
    spend: (at) => bucket.withdraw(at),
    spendOnHedge: (at) => bucket.level(at) - 1 >= retryBudgetRule.hedgesLeave * size() && bucket.withdraw(at),
  };
}
