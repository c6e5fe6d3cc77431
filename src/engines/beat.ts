// Something done again and again, one run at a time, at intervals that each run decides.

import type { Clock } from "../base/clock.ts";

export interface Beat {
  /** Runs now, or right after the run that is under way. */
  hurry(): void;
  stop(): void;
}

/** The first run starts at once. `run` answers how long to wait until the next, and does not fail. */
export function startBeat(clock: Clock, run: () => Promise<number>): Beat {
  let cancelTimer = (): void => {};
  let running = false;
  let hurried = false;
  let stopped = false;

  const turn = async (): Promise<void> => {
    running = true;
    hurried = false;
    const delayMs = await run();
    running = false;
    if (stopped) return;
    cancelTimer = clock.after(hurried ? 0 : delayMs, () => void turn());
  };

  void turn();
  return {
    hurry() {
      hurried = true;
      if (running || stopped) return;
      cancelTimer();
      void turn();
    },
    stop() {
      stopped = true;
      cancelTimer();
    },
  };
}
