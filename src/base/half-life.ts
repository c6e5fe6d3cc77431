// How much of what was counted is still to count: half of it for each half-life that has passed. Time is an argument.

import type { Instant } from "./clock.ts";

/** Answers what to multiply by since the last time that it was asked; 1 until a whole half-life has passed. */
export function createHalfLife(ms: number): (now: Instant) => number {
  let since: Instant | undefined;
  return (now) => {
    since ??= now;
    const halvings = Math.floor((now - since) / ms);
    if (halvings <= 0) return 1;
    since += halvings * ms;
    return 0.5 ** halvings;
  };
}
