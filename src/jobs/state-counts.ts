// How many jobs of the file are in each state. Kept beside the table, for counting ten thousand rows at each acceptance would
// cost more than the acceptance.

import type { JobState } from "./job.ts";
import { jobStates, unfinishedStates } from "./job.ts";
import type { JobFile } from "./job-file.ts";

export interface StateCounts {
  readonly all: Readonly<Record<JobState, number>>;
  unfinished(): number;
  add(state: JobState, many: number): void;
  /** Where `work` throws or answers what has come to nothing, the numbers are as before. */
  guard<T extends { readonly kind: string }>(work: () => T): T;
}

export function createStateCounts({ prepare }: Pick<JobFile, "prepare">): StateCounts {
  const all: Record<JobState, number> = {
    accepted: 0,
    submitting: 0,
    submitted: 0,
    done: 0,
    failed: 0,
    expired: 0,
    cancelled: 0,
    poisoned: 0,
  };
  const countByState = prepare<{ many: number }, [string]>(
    "SELECT count(*) AS many FROM jobs WHERE state = ?",
  );
  for (const state of jobStates) all[state] = countByState.get(state)?.many ?? 0;

  return {
    all,
    unfinished: () => unfinishedStates.reduce((sum, state) => sum + all[state], 0),
    add(state, many) {
      all[state] += many;
    },
    guard(work) {
      const before = { ...all };
      let holds = false;
      try {
        const outcome = work();
        holds = outcome.kind !== "unavailable";
        return outcome;
      } finally {
        if (!holds) Object.assign(all, before);
      }
    },
  };
}
