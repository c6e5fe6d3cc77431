// A member that comes and goes: what it is held for changes seldom, whatever is claimed of it.
// Bad news always passes; after three changes within a minute the next good news waits a minute.

import type { Instant } from "../base/clock.ts";

export const dampingRule = { windowMs: 60_000, changesMost: 3, holdMs: 60_000 } as const;

export interface Damping {
  /** Until when good news must wait; undefined: it may pass. */
  readonly heldUntil: Instant | undefined;
  /** What the member is held for has changed. */
  changed(now: Instant): void;
  /** Good news has come. Answers whether it passes. */
  admits(now: Instant): boolean;
}

export function createDamping(): Damping {
  let changes: Instant[] = [];
  let heldUntil: Instant | undefined;
  return {
    get heldUntil() {
      return heldUntil;
    },
    changed(now) {
      changes = [...changes.filter((at) => now - at < dampingRule.windowMs), now].slice(
        -dampingRule.changesMost,
      );
    },
    admits(now) {
      if (heldUntil !== undefined) {
        if (now < heldUntil) return false;
        heldUntil = undefined;
        return true;
      }
      const recent = changes.filter((at) => now - at < dampingRule.windowMs).length;
      if (recent < dampingRule.changesMost) return true;
      heldUntil = now + dampingRule.holdMs;
      return false;
    },
  };
}
