// The breakers of one endpoint, one a model. Names come from callers: beyond the bound they share one.

import type { Instant } from "../base/clock.ts";
import { earlier } from "../base/earlier.ts";
import type { Random } from "../base/random.ts";
import type { Breaker, BreakerState } from "./breaker.ts";
import { createBreaker } from "./breaker.ts";
import type { OutcomeKind } from "./outcome.ts";

/** Different models with a breaker of their own, the shared one among them. */
export const breakersMost = 64;

const shared = "";
const ownMost = breakersMost - 1;

export interface ModelBreakers {
  admits(model: string, now: Instant): boolean;
  /** When the first that admits nothing now does again; undefined: there is none. */
  admitsAt(now: Instant): Instant | undefined;
  /** The worst over the models. */
  state(now: Instant): BreakerState;
  begin(model: string, now: Instant): void;
  /** As `Breaker.record`. */
  record(model: string, kind: OutcomeKind, now: Instant, random: Random): "opened" | "closed" | undefined;
  /** As `Breaker.restarted` and `Breaker.invite`, for all of them. */
  restarted(now: Instant): void;
  invite(now: Instant): void;
}

export function createModelBreakers(): ModelBreakers {
  const breakers = new Map<string, Breaker>();
  /** Nearly always so, and it spares every decision a look-up. */
  let allClosed = true;

  /** Undefined: nothing was ever asked under that name. */
  const known = (model: string): Breaker | undefined =>
    breakers.get(model) ?? (breakers.size < ownMost ? undefined : breakers.get(shared));

  const of = (model: string): Breaker => {
    const before = known(model);
    if (before !== undefined) return before;
    const breaker = createBreaker();
    breakers.set(breakers.size < ownMost ? model : shared, breaker);
    return breaker;
  };

  return {
    admits: (model, now) => allClosed || (known(model)?.admits(now) ?? true),
    admitsAt(now) {
      if (allClosed) return undefined;
      let first: Instant | undefined;
      for (const breaker of breakers.values()) first = earlier(first, breaker.admitsAt(now));
      return first;
    },
    state(now) {
      let worst: BreakerState = "closed";
      if (allClosed) return worst;
      for (const breaker of breakers.values()) {
        const state = breaker.state(now);
        if (state === "open") return "open";
        if (state === "half-open") worst = "half-open";
      }
      return worst;
    },
    begin: (model, now) => of(model).begin(now),
    record(model, kind, now, random) {
      const change = of(model).record(kind, now, random);
      if (change === "opened") allClosed = false;
      if (change === "closed")
        allClosed = breakers.values().every((breaker) => breaker.state(now) === "closed");
      return change;
    },
    restarted(now) {
      for (const breaker of breakers.values()) breaker.restarted(now);
    },
    invite(now) {
      for (const breaker of breakers.values()) breaker.invite(now);
    },
  };
}
