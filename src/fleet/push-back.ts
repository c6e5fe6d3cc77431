// How long somebody is left alone who said that he is full: for as long as he asked, and longer each time in a row.

import type { Instant } from "../base/clock.ts";

export const pushBackRule = {
  /** Where he named no time. */
  leastMs: 100,
  mostMs: 1000,
  doublingsMost: 10,
  /** Who has not refused the first within this has room for the others. */
  triedMs: 100,
} as const;

export interface PushBack {
  pushed(askedMs: number | undefined, now: Instant): void;
  /** He has done what was asked of him. */
  answered(): void;
  /** He is asked again; once his time is over, one goes before the others. */
  tried(now: Instant): void;
  active(now: Instant): boolean;
  /** Undefined: it is not active. */
  activeUntil(now: Instant): Instant | undefined;
}

export function createPushBack(): PushBack {
  let until: Instant = 0;
  let inARow = 0;
  let triedUntil: Instant | undefined;

  const activeUntil = (now: Instant): Instant | undefined => {
    if (now < until) return until;
    return triedUntil !== undefined && now < triedUntil ? triedUntil : undefined;
  };

  return {
    pushed(askedMs, now) {
      const { leastMs, mostMs, doublingsMost } = pushBackRule;
      const grown = leastMs * 2 ** Math.min(inARow, doublingsMost);
      until = now + Math.min(Math.max(askedMs ?? leastMs, grown), mostMs);
      inARow += 1;
      triedUntil = undefined;
    },
    answered() {
      inARow = 0;
      triedUntil = undefined;
    },
    tried(now) {
      if (inARow > 0 && now >= until) triedUntil ??= now + pushBackRule.triedMs;
    },
    active: (now) => activeUntil(now) !== undefined,
    activeUntil,
  };
}
