// For a log: whether to say again of somebody what goes on and on. A name is forgotten when its time is over.

import type { Instant } from "./clock.ts";

export interface OnceIn {
  /** Whether it was not said of this one for so long; then it counts as said now. `now` never goes back. */
  isDue(name: string, now: Instant): boolean;
  /** Of how many it is remembered. */
  readonly names: number;
}

export function onceIn(everyMs: number): OnceIn {
  /** Longest ago first. */
  const saidAt = new Map<string, Instant>();
  return {
    isDue(name, now) {
      for (const [each, at] of saidAt) {
        if (now - at < everyMs) break;
        saidAt.delete(each);
      }
      if (saidAt.has(name)) return false;
      saidAt.set(name, now);
      return true;
    },
    get names() {
      return saidAt.size;
    },
  };
}
