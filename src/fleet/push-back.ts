// How long somebody is left alone who said that he is full: for as long as he asked, and longer each time in a row.

import type { Instant } from "../base/clock.ts";

const pushBackRule = {
  /** Where he named no time. */
  leastMs: 100,
  mostMs: 1000,
  doublingsMost: 10,
} as const;

export interface PushBack {
  pushed(askedMs: number | undefined, now: Instant): void;
  /** He has done what was asked of him. */
  answered(): void;
  active(now: Instant): boolean;
}

export function createPushBack(): PushBack {
  let until: Instant = 0;
  let inARow = 0;

  return {
    pushed(askedMs, now) {
      const { leastMs, mostMs, doublingsMost } = pushBackRule;
      const grown = leastMs * 2 ** Math.min(inARow, doublingsMost);
      until = now + Math.min(Math.max(askedMs ?? leastMs, grown), mostMs);
      inARow += 1;
    },
    answered() {
      inARow = 0;
    },
    active: (now) => now < until,
  };
}
