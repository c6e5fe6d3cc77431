// A healed endpoint is trusted little by little. Envoy's and HAProxy's ramp, linear, from a tenth.

import type { Instant } from "../base/clock.ts";

export const slowStartRule = { windowMs: 30_000, least: 0.1 } as const;

/** 0.1 to 1; `since` is when it came back, undefined where it was never away. */
export function slowStartWeight(since: Instant | undefined, now: Instant): number {
  if (since === undefined) return 1;
  return Math.min(1, Math.max(slowStartRule.least, (now - since) / slowStartRule.windowMs));
}
