// A bucket of tokens that earns by the second and by the deposit. Time is an argument.

import type { Instant } from "./clock.ts";

export interface TokenBucket {
  /** Adds tokens beside the steady earnings; never above the size. */
  deposit(tokens: number, now: Instant): void;
  /** Takes one token, or says that there is none. */
  withdraw(now: Instant): boolean;
  /** Tokens in the bucket now. */
  level(now: Instant): number;
}

/**
 * `size()` is asked each time, because what the bucket may hold can depend on how busy the times are. `level`: the tokens
 * in it at the beginning.
 */
export function tokenBucket(
  perSecond: number,
  size: () => number,
  now: Instant,
  level = size(),
): TokenBucket {
  let tokens = level;
  let countedAt = now;

  const earn = (at: Instant): void => {
    tokens = Math.min(size(), tokens + (Math.max(0, at - countedAt) / 1000) * perSecond);
    countedAt = Math.max(countedAt, at);
  };

  return {
    deposit(more, at) {
      earn(at);
      tokens = Math.min(size(), tokens + more);
    },
    withdraw(at) {
      earn(at);
      if (tokens < 1) return false;
      tokens -= 1;
      return true;
    },
    level(at) {
      earn(at);
      return tokens;
    },
  };
}
