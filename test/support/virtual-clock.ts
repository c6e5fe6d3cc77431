// Time that stands still until a test moves it: the Clock of every test below and above the waterline.

import type { Clock, Instant } from "../../src/base/clock.ts";

export interface VirtualClock extends Clock {
  /**
   * Moves time on by `ms`, running each timer at its own instant, the earliest first and equals in the
   * order they were set. Promises settle after each timer, so what a timer started has happened before
   * the next one fires.
   */
  advance(ms: number): Promise<void>;
  /** Lets promises settle without moving time. */
  settle(): Promise<void>;
  /** Steps the wall clock only, as NTP would. */
  stepWallMs(byMs: number): void;
  /** Timers that are set and have not fired. */
  pending(): number;
}

interface Timer {
  readonly at: Instant;
  readonly order: number;
  readonly action: () => void;
}

/** 2026-01-01T00:00:00Z: any fixed day will do. */
const wallStartMs = 1_767_225_600_000;

/** Starts well away from 0, so that "no instant yet" and "the first instant" cannot be mixed up. */
export function virtualClock(startMs = 1_000_000): VirtualClock {
  const timers = new Set<Timer>();
  let now = startMs;
  let wallOffsetMs = wallStartMs - startMs;
  let order = 0;

  const earliestUntil = (end: Instant): Timer | undefined => {
    let first: Timer | undefined;
    for (const timer of timers) {
      if (timer.at > end) continue;
      if (
        first === undefined ||
        timer.at < first.at ||
        (timer.at === first.at && timer.order < first.order)
      ) {
        first = timer;
      }
    }
    return first;
  };

  return {
    now: () => now,
    wallMs: () => now + wallOffsetMs,
    after(delayMs, action) {
      const timer = { at: now + Math.max(0, delayMs), order, action };
      order += 1;
      timers.add(timer);
      return () => timers.delete(timer);
    },
    async advance(ms) {
      const end = now + ms;
      await settle();
      for (let next = earliestUntil(end); next !== undefined; next = earliestUntil(end)) {
        timers.delete(next);
        now = Math.max(now, next.at);
        next.action();
        await settle();
      }
      now = end;
    },
    settle,
    stepWallMs(byMs) {
      wallOffsetMs += byMs;
    },
    pending: () => timers.size,
  };
}

/** A macrotask comes after every microtask that is ready, however long their chain. */
function settle(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
