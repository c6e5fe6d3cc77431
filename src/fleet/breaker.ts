// When to stop calling an endpoint for one model, and when to dare again.
// Closed: calls flow. Open: refused. Half-open: one test call.

import type { BackoffRule } from "../base/backoff.ts";
import { backoffMs } from "../base/backoff.ts";
import type { Instant } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { OutcomeKind } from "./outcome.ts";
import { outcomeRow } from "./outcome.ts";

export type BreakerState = "closed" | "half-open" | "open";

export const breakerRule = {
  /** In a row, answered by nobody: refused, reset, no first byte. */
  localFailuresInARow: 3,
  /** In a row, of any kind. */
  failuresInARow: 5,
  /** Or this share of the window's calls, once there are enough of them. */
  failureRatio: 0.5,
  windowCalls: 20,
  windowMs: 10_000,
  /** A test call that takes longer than this does not keep the next one waiting. */
  testMs: 1000,
  open: { baseMs: 1000, capMs: 30_000, jitter: 0.2 } satisfies BackoffRule,
} as const;

export interface Breaker {
  state(now: Instant): BreakerState;
  /** Whether one more call may be made now. */
  admits(now: Instant): boolean;
  /** When it admits one again; undefined: it does now. */
  admitsAt(now: Instant): Instant | undefined;
  /** A call begins; in half-open it is the test call. */
  begin(now: Instant): void;
  /** A call ended. Answers "closed" when this very outcome closed a breaker that was open. */
  record(kind: OutcomeKind, now: Instant, random: Random): "opened" | "closed" | undefined;
  /**
   * Something else has seen the endpoint answer: the next call may be the test call, unless answered failures were
   * among those that opened it. An engine may answer the one-token question and fail at everything real.
   */
  invite(now: Instant): void;
  /** The engine was gone and has come back: what it did before says nothing. */
  restarted(now: Instant): void;
}

export function createBreaker(): Breaker {
  let openUntil: Instant | undefined;
  let testingSince: Instant | undefined;
  let distrusted = false;
  let timesOpened = 0;
  let inARow = 0;
  let localInARow = 0;
  const window = callWindow();

  const open = (now: Instant, random: Random): "opened" => {
    openUntil = now + backoffMs(breakerRule.open, timesOpened, random);
    timesOpened += 1;
    testingSince = undefined;
    return "opened";
  };

  const admitsAt = (now: Instant): Instant | undefined => {
    if (openUntil === undefined || now < openUntil) return openUntil;
    const testedUntil = testingSince === undefined ? now : testingSince + breakerRule.testMs;
    return now < testedUntil ? testedUntil : undefined;
  };

  return {
    state(now) {
      if (openUntil === undefined) return "closed";
      return now < openUntil ? "open" : "half-open";
    },
    admits: (now) => admitsAt(now) === undefined,
    admitsAt,
    begin(now) {
      if (openUntil !== undefined && now >= openUntil) testingSince = now;
    },
    record(kind, now, random) {
      const { answered, failure } = outcomeRow(kind);
      if (failure === undefined) {
        if (answered === undefined) {
          // Load, a caller who left, a deadline: the test call proved nothing, so another may be made.
          testingSince = undefined;
          return undefined;
        }
        inARow = 0;
        localInARow = 0;
        window.add(false, now);
        // Answers to calls begun before the breaker opened do not close it; the test call's does.
        if (openUntil === undefined || testingSince === undefined) return undefined;
        openUntil = undefined;
        testingSince = undefined;
        distrusted = false;
        timesOpened = 0;
        window.clear();
        return "closed";
      }
      inARow += 1;
      localInARow = failure === "local" ? localInARow + 1 : 0;
      window.add(true, now);
      if (openUntil !== undefined) {
        distrusted ||= failure === "remote";
        return testingSince === undefined ? undefined : open(now, random);
      }
      const tripped =
        localInARow >= breakerRule.localFailuresInARow ||
        inARow >= breakerRule.failuresInARow ||
        window.tripped(now);
      if (!tripped) return undefined;
      distrusted = failure === "remote";
      return open(now, random);
    },
    invite(now) {
      if (!distrusted && openUntil !== undefined && openUntil > now) openUntil = now;
    },
    restarted(now) {
      distrusted = false;
      if (openUntil !== undefined) openUntil = now;
    },
  };
}

const slots = 10;
const slotMs = breakerRule.windowMs / slots;

/** Calls and failures of the last ten seconds, a slot a second. */
function callWindow() {
  const calls = new Uint32Array(slots);
  const failures = new Uint32Array(slots);
  let current = 0;

  const turnTo = (now: Instant): void => {
    const wanted = Math.floor(now / slotMs);
    for (let slot = Math.max(current + 1, wanted - slots + 1); slot <= wanted; slot += 1) {
      calls[slot % slots] = 0;
      failures[slot % slots] = 0;
    }
    current = Math.max(current, wanted);
  };

  return {
    add(failed: boolean, now: Instant): void {
      turnTo(now);
      const slot = current % slots;
      calls[slot] = (calls[slot] ?? 0) + 1;
      if (failed) failures[slot] = (failures[slot] ?? 0) + 1;
    },
    tripped(now: Instant): boolean {
      turnTo(now);
      const allCalls = calls.reduce((sum, n) => sum + n, 0);
      const allFailures = failures.reduce((sum, n) => sum + n, 0);
      return allCalls >= breakerRule.windowCalls && allFailures >= breakerRule.failureRatio * allCalls;
    },
    clear(): void {
      calls.fill(0);
      failures.fill(0);
    },
  };
}
