// The rest that the lane owes the loop: most of what it does writes to the disk, and others want the loop meanwhile. All of
// its work goes through here, so that together it has no more than its share.

import type { Clock } from "../base/clock.ts";

export interface Rests {
  /** When the rest is over, after those who were there before; each is followed by a rest. Answers how to give the place up. */
  line(work: () => void): () => void;
  /** Now, followed by a rest. False: there is a rest now, or somebody has been waiting for longer than one. */
  attempt(work: () => void): boolean;
}

/** Work is followed by so many times what it took: at most a third of the loop is the lane's. */
const restShare = 2;
/** A machine that stood still for a minute does not owe two. */
const restMostMs = 100;

export function createRests(clock: Pick<Clock, "now" | "after">): Rests {
  const waiting = new Set<{ readonly work: () => void }>();
  let until = clock.now();
  let stopTimer: (() => void) | undefined;
  let isRunning = false;
  /** Whoever is first in line has found a rest at the end of its own. */
  let isOverdue = false;

  function run(work: () => void): void {
    const startedAt = clock.now();
    isRunning = true;
    try {
      work();
    } finally {
      isRunning = false;
      const now = clock.now();
      until = now + Math.min(restMostMs, (now - startedAt) * restShare);
      wake();
    }
  }

  function wake(): void {
    if (isRunning || stopTimer !== undefined || waiting.size === 0) return;
    stopTimer = clock.after(Math.max(0, until - clock.now()), () => {
      stopTimer = undefined;
      isOverdue = clock.now() < until;
      const [first] = waiting;
      if (isOverdue || first === undefined) {
        wake();
        return;
      }
      waiting.delete(first);
      run(first.work);
    });
  }

  return {
    line(work) {
      const place = { work };
      waiting.add(place);
      wake();
      return () => {
        waiting.delete(place);
        if (waiting.size > 0) return;
        stopTimer?.();
        stopTimer = undefined;
        isOverdue = false;
      };
    },
    attempt(work) {
      if (isRunning || isOverdue || clock.now() < until) return false;
      run(work);
      return true;
    },
  };
}
