// How many of its slots an engine really has, by its own word: where it keeps requests in a queue of its own, they wait
// beyond the reach of deadlines, shares and shedding, so that fewer are sent. Never more than configured; an engine that
// says nothing of its queue has what is configured.

import type { Instant } from "../base/clock.ts";

export const slotLimitRule = {
  /** Some engines say it with every answer; what follows from it takes time to show. */
  everyMs: 900,
  /** Of what it runs: a shorter queue only keeps the next step of the engine full. */
  queueShare: 0.1,
  /** A queue that is seen so often in a row stands; one that is seen once may be gone a moment later. */
  seenInARow: 2,
  /** Of the slots, at least one: what is added where all of them were taken and the engine had no queue. */
  upShare: 0.1,
  /** An engine that has said nothing of its queue for so long is one that says nothing. */
  forgetMs: 30_000,
} as const;

export interface SlotLimit {
  readonly slots: number;
  /** All slots were taken: without that, that nobody queues says nothing. */
  reached(now: Instant): void;
  /** The engine's own figures, each time they come, and how many of the requests are ours. */
  said(running: number | undefined, waiting: number | undefined, inflight: number, now: Instant): void;
  reconfigure(most: number): void;
}

export function createSlotLimit(configured: number): SlotLimit {
  const { everyMs, queueShare, seenInARow, upShare } = slotLimitRule;
  let most = configured;
  let slots = configured;
  let wasReached = false;
  let queuedInARow = 0;
  let saidAt = Number.NEGATIVE_INFINITY;

  return {
    get slots() {
      return slots;
    },
    reached(now) {
      wasReached = true;
      if (now - saidAt >= slotLimitRule.forgetMs) slots = most;
    },
    said(running, waiting, inflight, now) {
      // Who runs nothing at all is not at work, and says nothing of what it could run.
      if (running === undefined || waiting === undefined || (running === 0 && waiting > 0)) return;
      if (now - saidAt < everyMs) return;
      saidAt = now;
      const full = wasReached;
      wasReached = inflight >= slots;
      if (waiting <= queueShare * running) {
        queuedInARow = 0;
        if (full) slots = Math.min(most, slots + Math.max(1, Math.floor(slots * upShare)));
        return;
      }
      queuedInARow += 1;
      if (queuedInARow < seenInARow) return;
      // What it runs it can run. Where others use it as well, their requests are not ours to hold back.
      const taken = Math.min(slots, inflight);
      const over = Math.min(waiting, taken - running);
      if (over > 0) slots = Math.max(1, Math.floor(taken - over));
    },
    reconfigure(next) {
      // What was learned stays; what was merely configured goes along.
      slots = slots === most ? next : Math.min(slots, next);
      most = next;
    },
  };
}
