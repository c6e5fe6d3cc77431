// Waits for a time, and no longer than somebody is there to wait.

import type { Clock } from "./clock.ts";
import type { Leaving } from "./departure.ts";

/** Until `ms` have passed, or the first of `leaving` has left. */
export const pause = (clock: Clock, ms: number, ...leaving: readonly Leaving[]): Promise<void> =>
  new Promise((resolve) => {
    if (leaving.some(({ aborted }) => aborted)) {
      resolve();
      return;
    }
    const done = (): void => {
      stopTimer();
      for (const each of leaving) each.removeEventListener("abort", done);
      resolve();
    };
    const stopTimer = clock.after(ms, done);
    for (const each of leaving) each.addEventListener("abort", done);
  });
