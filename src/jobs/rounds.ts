// Something that is done again and again until it is stopped, one time after the other.

import type { Clock } from "../base/clock.ts";

export interface Rounds {
  /** Begins at once. */
  start(): void;
  /** No more rounds; the signal of one that is under way is cut. */
  stop(): void;
}

/** `round` answers how long until the next, in ms. `broke`: a round threw; the next comes after what it answers. */
export function createRounds(
  clock: Clock,
  round: (signal: AbortSignal) => Promise<number>,
  broke: (error: unknown) => number,
): Rounds {
  const over = new AbortController();
  let stopTimer = (): void => {};

  const go = async (): Promise<void> => {
    const waitMs = await round(over.signal).catch(broke);
    if (!over.signal.aborted) stopTimer = clock.after(waitMs, () => void go());
  };

  return {
    start: () => void go(),
    stop() {
      over.abort();
      stopTimer();
    },
  };
}
