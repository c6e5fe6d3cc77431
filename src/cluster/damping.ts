// A member that comes and goes: what it is held for changes seldom, whatever is claimed of it.
// Bad news always passes, and so does the member's own farewell; the third return within a minute waits a minute.

import type { Instant } from "../base/clock.ts";

export const dampingRule = { windowMs: 60_000, returnsMost: 2, holdMs: 60_000 } as const;

export interface Damping {
  /** Until when good news must wait; undefined: it may pass. */
  readonly heldUntil: Instant | undefined;
  /** A member that was suspect or dead is said to be well. Answers whether that passes. */
  admits(now: Instant): boolean;
}

export function createDamping(): Damping {
  let returns: readonly Instant[] = [];
  let heldUntil: Instant | undefined;

  return {
    get heldUntil() {
      return heldUntil;
    },
    admits(now) {
      if (heldUntil !== undefined && now < heldUntil) return false;
      returns = returns.filter((at) => now - at < dampingRule.windowMs);
      if (heldUntil === undefined && returns.length >= dampingRule.returnsMost) {
        heldUntil = now + dampingRule.holdMs;
        return false;
      }
      heldUntil = undefined;
      returns = [...returns, now];
      return true;
    },
  };
}
