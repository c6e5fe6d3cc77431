// Computations that many ask for at once and one makes. Who began it may leave; it ends early only when all have left.

import type { Clock, Instant } from "./clock.ts";
import type { Leaving } from "./departure.ts";
import { Departure } from "./departure.ts";

export interface SingleFlight<V> {
  /**
   * Begins `compute`, or waits for the one under way for `key`. Rejects as `compute` does. The last to leave is told
   * what became of the computation, which has been told to end.
   */
  ask(key: string, asker: Asker, compute: (abandoned: Leaving) => Promise<V>): Promise<Flown<V>>;
}

export interface Asker {
  readonly left: Leaving;
  /** Ends the waiting of one who joined; who began it has handed its deadline to the computation. */
  readonly deadline: Instant;
}

export type Flown<V> =
  | { readonly end: "value"; readonly value: V; readonly began: boolean }
  /** It goes on for others. */
  | { readonly end: "left"; readonly began: boolean }
  | { readonly end: "late" };

interface Flight<V> {
  readonly abandoned: Departure;
  /** All who asked; whoever has had an answer takes no second one. */
  readonly passengers: Passenger<V>[];
  waiting: number;
}

interface Passenger<V> {
  landed(value: V): void;
  crashed(error: unknown): void;
}

/** Bounded by those who ask: there are never more flights than askers. */
export function createSingleFlight<V>(clock: Clock): SingleFlight<V> {
  const flights = new Map<string, Flight<V>>();

  const begin = (key: string, compute: (abandoned: Leaving) => Promise<V>): Flight<V> => {
    const abandoned = new Departure();
    const value = compute(abandoned);
    const flight: Flight<V> = { abandoned, passengers: [], waiting: 0 };
    flights.set(key, flight);
    value.then(
      (landed) => {
        close(key, flight);
        for (const passenger of flight.passengers) passenger.landed(landed);
      },
      (error: unknown) => {
        close(key, flight);
        for (const passenger of flight.passengers) passenger.crashed(error);
      },
    );
    return flight;
  };

  /** Whoever asks from now on asks anew. */
  const close = (key: string, flight: Flight<V>): void => {
    if (flights.get(key) === flight) flights.delete(key);
  };

  return {
    ask(key, { left, deadline }, compute) {
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
          close(key, flight);
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
        const stopTimer = began ? undefined : clock.after(deadline - clock.now(), onLate);
        const release = (): void => {
          stopTimer?.();
          left.removeEventListener("abort", onLeft);
        };
        const settle = (flown: Flown<V>): void => {
          release();
          resolve(flown);
        };

        left.addEventListener("abort", onLeft);
        if (left.aborted) onLeft();
        flight.passengers.push({
          landed: (value) => settle({ end: "value", value, began }),
          crashed(error) {
            release();
            reject(error);
          },
        });
      });
    },
  };
}
