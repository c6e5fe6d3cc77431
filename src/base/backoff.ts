// How long to wait before doing something again. Arithmetic only; the caller owns the timer.

import type { Random } from "./random.ts";

export interface BackoffRule {
  readonly baseMs: number;
  readonly capMs: number;
  /** 0.2 spreads the result by ±20 %. */
  readonly jitter: number;
}

/** `baseMs · 2^times`, capped, then spread by the jitter. `times` counts from 0. */
export function backoffMs(rule: BackoffRule, times: number, random: Random): number {
  const plain = Math.min(rule.capMs, rule.baseMs * 2 ** Math.min(times, 30));
  return plain * (1 - rule.jitter + 2 * rule.jitter * random());
}
