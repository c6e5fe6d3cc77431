// The one place that reads time. Everything else is handed a Clock, so that tests run in virtual time.

/** A point on the monotonic clock, in milliseconds. Comparable only inside one process. */
export type Instant = number;

export interface Clock {
  /** Monotonic milliseconds, with a fraction. Never steps. */
  now(): Instant;
  /** Wall-clock milliseconds since 1970; may step. Only for what people and other machines read. */
  wallMs(): number;
  /** Runs `action` once after `delayMs`; the returned function cancels it and may be called twice. */
  after(delayMs: number, action: () => void): () => void;
}

/** setTimeout fires at once for anything longer, so a longer wait is cut to this (24.8 days). */
const longestTimerMs = 2 ** 31 - 1;

/** A timer that is so late says that this process stood still. */
const standstillMs = 20;

export const systemClock: Clock = {
  now: () => performance.now(),
  wallMs: () => Date.now(),
  after(delayMs, action) {
    const waitMs = Math.min(Math.max(0, delayMs), longestTimerMs);
    const lateFrom = performance.now() + waitMs + standstillMs;
    let timer = setTimeout(() => {
      if (performance.now() < lateFrom) action();
      // Bun runs timers before it reads sockets: whoever answered meanwhile is heard before being called silent.
      else timer = setTimeout(action, 0);
    }, waitMs);
    return () => clearTimeout(timer);
  },
};
