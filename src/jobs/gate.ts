// How many calls a runner may have at once: all of them while it takes them, none while it wants to be left alone, one to
// try afterwards. A hundred waiting jobs then learn from one refusal.

import type { BackoffRule } from "../base/backoff.ts";
import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";

export interface Gate {
  /** Calls that may be under way now. */
  width(): number;
  /** How long it stays shut; 0 while it is open. */
  shutForMs(): number;
  /** Since the last that was taken. */
  isRefused(): boolean;
  /** A call was taken, whatever came of it. */
  taken(): void;
  /** A call was refused: nobody calls for `afterMs`, or longer where refusals follow one another. */
  refused(afterMs: number): void;
}

/** However long a runner asks for: it may be wrong, and a job has a ttl. */
const shutMostMs = 300_000;

export function createGate(widthMost: number, rule: BackoffRule, clock: Clock, random: Random): Gate {
  let opensAt = clock.now();
  let refusals = 0;

  const shutForMs = () => Math.max(0, opensAt - clock.now());

  return {
    width: () => (shutForMs() > 0 ? 0 : refusals > 0 ? 1 : widthMost),
    shutForMs,
    isRefused: () => refusals > 0,
    taken() {
      refusals = 0;
    },
    refused(afterMs) {
      // Calls that were under way together are refused together, and that is one refusal.
      if (shutForMs() === 0 || refusals === 0) refusals += 1;
      const wait = Math.max(afterMs, backoffMs(rule, refusals - 1, random));
      opensAt = Math.max(opensAt, clock.now() + Math.min(wait, shutMostMs));
    },
  };
}
