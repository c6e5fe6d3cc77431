// Computations that many ask for at once and one makes. Who began it may leave; it ends early only when all have left.

import type { Clock, Instant } from "./clock.ts";

export interface SingleFlight<V> {
  /**
   * Begins `compute`, or waits for the one under way for `key`. Rejects as `compute` does. The last to leave is told
   * what became of the computation, which has been told to end.
   */
  ask(key: string, asker: Asker, compute: (abandoned: AbortSignal) => Promise<V>): Promise<Flown<V>>;
}

export interface Asker {
  readonly left: AbortSignal;
  /** Ends the waiting of one who joined; who began it has handed its deadline to the computation. */
  readonly deadline: Instant;
}

export type Flown<V> =
  | { readonly end: "value"; readonly value: V; readonly began: boolean }
  /** It goes on for others. */
  | { readonly end: "left"; readonly began: boolean }
  | { readonly end: "late" };

interface Flight<V> {
  readonly value: Promise<V>;
  readonly abandoned: AbortController;
  waiting: number;
}

/** Bounded by those who ask: there are never more flights than askers. */
export function createSingleFlight<V>(clock: Clock): SingleFlight<V> {
  const flights = new Map<string, Flight<V>>();

  const begin = (key: string, compute: (abandoned: AbortSignal) => Promise<V>): Flight<V> => {
    const abandoned = new AbortController();
    const flight = { value: compute(abandoned.signal), abandoned, waiting: 0 };
    flights.set(key, flight);
    const over = (): void => land(key, flight);
    flight.value.then(over, over);
    return flight;
  };

  /** Whoever asks from now on asks anew. */
  const land = (key: string, flight: Flight<V>): void => {
    if (flights.get(key) === flight) flights.delete(key);
  };

  return {
    ask(key, asker, compute) {
      const joined = flights.get(key);
      const began = joined === undefined;
      const flight = joined ?? begin(key, compute);
      flight.waiting += 1;

      return new Promise((resolve, reject) => {
        let gone = false;
        /** Whether others are left. */
        const leave = (): boolean => {
          gone = true;
          flight.waiting -= 1;
          if (flight.waiting > 0) return true;
          land(key, flight);
          flight.abandoned.abort();
          return false;
        };
        const onLeft = (): void => {
          if (!gone && leave()) settle({ end: "left", began });
        };
        const onLate = (): void => {
          if (!gone) leave();
          settle({ end: "late" });
        };
        const stopTimer = began ? undefined : clock.after(asker.deadline - clock.now(), onLate);
        const release = (): void => {
          stopTimer?.();
          asker.left.removeEventListener("abort", onLeft);
        };
        const settle = (flown: Flown<V>): void => {
          release();
          resolve(flown);
        };

        asker.left.addEventListener("abort", onLeft);
        if (asker.left.aborted) onLeft();
        flight.value.then(
          (value) => settle({ end: "value", value, began }),
          (error: unknown) => {
            release();
            reject(error);
          },
        );
      });
    },
  };
}
