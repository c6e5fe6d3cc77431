// A call that may take only so long: its signal is cut at the limit, or when somebody leaves.

import type { Clock } from "./clock.ts";
import type { Leaving } from "./departure.ts";
import { whenLeft } from "./departure.ts";

/** Answers what `work` answers to the cut; nobody else waits for it. `outer` undefined: nobody but the limit cuts. */
export async function inTime<Answer>(
  clock: Clock,
  limitMs: number,
  outer: Leaving | undefined,
  work: (signal: AbortSignal) => Promise<Answer>,
): Promise<Answer> {
  const inner = new AbortController();
  const cut = (): void => inner.abort();
  const forget = outer && whenLeft(outer, cut);
  const stopTimer = clock.after(limitMs, cut);
  try {
    return await work(inner.signal);
  } finally {
    stopTimer();
    forget?.();
  }
}
