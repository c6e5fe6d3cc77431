// How many jobs there are and how old the oldest is: for metrics, /health and the command line.

import type { Clock } from "../base/clock.ts";
import type { JobStatus } from "./job.ts";
import { jobStates, statusOf } from "./job.ts";
import type { JobStore } from "./store.ts";

export interface JobFigures {
  readonly byStatus: Readonly<Record<JobStatus, number>>;
  /** Since the oldest that has not ended was accepted, in whole seconds; 0 where there is none. */
  readonly oldestSeconds: number;
}

type Counted = Pick<JobStore, "counts"> | undefined;
type Dated = Pick<JobStore, "oldestAcceptedAtMs"> | undefined;

/** `store`: undefined where it could not be opened, and then nothing is known of any job. */
export const jobFigures = (store: Counted & Dated, clock: Pick<Clock, "wallMs">): JobFigures => ({
  byStatus: jobsByStatus(store),
  oldestSeconds: oldestSeconds(store, clock),
});

export function jobsByStatus(store: Counted): JobFigures["byStatus"] {
  const byStatus = { queued: 0, running: 0, succeeded: 0, failed: 0, expired: 0, cancelled: 0 };
  const counts = store?.counts();
  for (const state of jobStates) byStatus[statusOf(state)] += counts?.[state] ?? 0;
  return byStatus;
}

/** Asks the job file. */
export function oldestSeconds(store: Dated, clock: Pick<Clock, "wallMs">): number {
  const oldestAtMs = store?.oldestAcceptedAtMs();
  const oldestMs = oldestAtMs === undefined ? 0 : Math.max(0, clock.wallMs() - oldestAtMs);
  return Math.floor(oldestMs / 1000);
}
