// Two calls for one request: a second one beside a first that is slow with its first byte. Whoever answers first wins, and
// the other is ended at once. Where the second may go, and who pays for it, is its caller's business.

import type { Clock, Instant } from "../base/clock.ts";
import type { EndpointState } from "../fleet/endpoint-state.ts";
import type { Outcome } from "../fleet/outcome.ts";
import type { TryReason } from "../routing/decision.ts";
import type { CallResult } from "./call.ts";

/** A call that is under way for a request. */
export interface Contender {
  readonly endpoint: EndpointState;
  readonly model: string | undefined;
  readonly because: TryReason;
  readonly since: Instant;
  readonly result: Promise<CallResult>;
  /** Ends it, for another one has answered. */
  beaten(as: Outcome["beaten"]): void;
}

/** Of the hedge: its answer was taken, or it was not. */
export type HedgeEnd = "won" | "lost";

export interface Finish {
  readonly by: Contender;
  readonly result: CallResult;
  /** Undefined: there was none. */
  readonly hedge: HedgeEnd | undefined;
}

export type Unanswered = Extract<CallResult, { readonly answered: false }>;

export interface Race {
  readonly clock: Clock;
  readonly afterMs: number;
  /** Starts the second call; undefined where there is no place for it, or nothing to pay with. */
  begin(): Contender | undefined;
  /** One of two is over without an answer that counts. The other goes on, or has answered. */
  fellOut(one: Contender, how: Unanswered): void;
}

const hedgeRule = {
  /** A timer that is so late was held up by ourselves, and the answer may lie there unread. */
  lateMs: 2,
  readMs: 1,
} as const;

/** Resolves with the first answer, or with the last failure. */
export function race(first: Contender, { clock, afterMs, begin, fellOut }: Race): Promise<Finish> {
  const { promise, resolve, reject } = Promise.withResolvers<Finish>();
  let hedge: Contender | undefined;
  let running = 1;
  let over = false;
  let cancelTimer = (): void => undefined;

  const finish = (by: Contender, result: CallResult): void => {
    over = true;
    cancelTimer();
    const other = by === first ? hedge : first;
    if (other !== undefined && running > 0) {
      other.beaten(other === first ? "first" : "hedge");
      fellOut(other, { answered: false, kind: "cancelled", why: "another call answered first" });
    }
    const won = by === hedge && result.answered;
    resolve({ by, result, hedge: hedge && (won ? "won" : "lost") });
  };

  const follow = (one: Contender): void => {
    one.result.then(
      (result) => {
        if (over) {
          drop(result);
          return;
        }
        running -= 1;
        if (result.answered || running === 0) finish(one, result);
        else fellOut(one, result);
      },
      (error: unknown) => fail(error),
    );
  };

  /** A failure that nobody foresaw: whoever still runs must not be left behind. */
  const fail = (error: unknown): void => {
    over = true;
    cancelTimer();
    for (const each of [first, hedge]) each?.beaten(undefined);
    reject(error);
  };

  const start = (): void => {
    try {
      hedge = begin();
    } catch (error) {
      fail(error);
    }
    if (hedge === undefined) return;
    running += 1;
    follow(hedge);
  };

  follow(first);
  cancelTimer = clock.after(afterMs, () => {
    const isLate = clock.now() - first.since - afterMs > hedgeRule.lateMs;
    if (isLate) cancelTimer = clock.after(hedgeRule.readMs, start);
    else start();
  });
  return promise;
}

/** An answer that came at the same moment as the one that was taken. */
function drop(result: CallResult): void {
  if (result.answered && !(result.body instanceof Uint8Array)) result.body.cancel("caller");
}
