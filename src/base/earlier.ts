// The earlier of two moments that may never come.

import type { Instant } from "./clock.ts";

export const earlier = (one: Instant | undefined, other: Instant | undefined): Instant | undefined =>
  one === undefined || (other !== undefined && other < one) ? other : one;
