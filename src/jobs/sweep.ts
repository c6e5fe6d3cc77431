// Forgets jobs that ended long ago, a few at a time.

import type { Clock } from "../base/clock.ts";
import type { Rests } from "./rests.ts";
import type { JobStore } from "./store.ts";
import type { Trouble } from "./trouble.ts";

export const sweepRule = {
  everyMs: 60_000,
  /** Rows forgotten in one turn: with results of 1 MB this holds the loop for some milliseconds. */
  rowsAtOnce: 10,
  /** Where there are more. */
  againMs: 50,
} as const;

export interface SweepParts {
  readonly store: Pick<JobStore, "sweep">;
  /** The lane's: a sweep is written to the same disk. */
  readonly rests: Pick<Rests, "line">;
  readonly clock: Clock;
  readonly retentionMs: number;
  readonly tell: (event: { readonly kind: "trouble"; readonly trouble: Trouble }) => void;
}

/** Begins as soon as the loop has had its rest; the returned function ends it. */
export function startSweep({ store, rests, clock, retentionMs, tell }: SweepParts): () => void {
  let stop = (): void => {};
  const sweep = (): void => {
    const swept = store.sweep(clock.wallMs() - retentionMs, sweepRule.rowsAtOnce);
    if (swept.kind === "unavailable") tell({ kind: "trouble", trouble: swept.trouble });
    const isMore = swept.kind === "found" && swept.value === sweepRule.rowsAtOnce;
    stop = clock.after(isMore ? sweepRule.againMs : sweepRule.everyMs, lineUp);
  };
  const lineUp = (): void => {
    stop = rests.line(sweep);
  };
  lineUp();
  return () => stop();
}
