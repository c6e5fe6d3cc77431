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

/** `store`: undefined where it could not be opened, and then nothing is known of any job. */
export function jobFigures(
  store: Pick<JobStore, "counts" | "oldestAcceptedAtMs"> | undefined,
  clock: Pick<Clock, "wallMs">,
): JobFigures {
  const byStatus = { queued: 0, running: 0, succeeded: 0, failed: 0, expired: 0, cancelled: 0 };
  const counts = store?.counts();
  for (const state of jobStates) byStatus[statusOf(state)] += counts?.[state] ?? 0;
  const oldestAtMs = store?.oldestAcceptedAtMs();
  const oldestMs = oldestAtMs === undefined ? 0 : Math.max(0, clock.wallMs() - oldestAtMs);
  return { byStatus, oldestSeconds: Math.floor(oldestMs / 1000) };
}
