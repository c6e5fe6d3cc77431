// How many jobs of the file are in each state, and how many of those that have not ended are whose. Kept beside the table,
// for counting ten thousand rows at each acceptance would cost more than the acceptance.

import type { JobState } from "./job.ts";
import { isEnd, jobStates, unfinishedStates } from "./job.ts";
import type { JobFile } from "./job-file.ts";
import { unfinishedSql } from "./schema.ts";

export interface StateCounts {
  readonly all: Readonly<Record<JobState, number>>;
  unfinished(): number;
  /** Of this caller; null, of those without a key. */
  unfinishedOf(owner: string | null): number;
  /** One job. `from` undefined: it is new; `to` undefined: it is forgotten. */
  moved(owner: string | null, from: JobState | undefined, to: JobState | undefined): void;
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
  const countByOwner = prepare<{ owner: string | null; many: number }, []>(
    `SELECT owner, count(*) AS many FROM jobs WHERE state IN (${unfinishedSql}) GROUP BY owner`,
  );
  /** Only of those who have any. */
  let unfinishedBy = new Map(countByOwner.all().map(({ owner, many }) => [owner, many]));

  const isOpen = (state: JobState | undefined): boolean => state !== undefined && !isEnd(state);

  return {
    all,
    unfinished: () => unfinishedStates.reduce((sum, state) => sum + all[state], 0),
    unfinishedOf: (owner) => unfinishedBy.get(owner) ?? 0,
    moved(owner, from, to) {
      if (from !== undefined) all[from] -= 1;
      if (to !== undefined) all[to] += 1;
      if (isOpen(from) === isOpen(to)) return;
      const many = (unfinishedBy.get(owner) ?? 0) + (isOpen(to) ? 1 : -1);
      if (many > 0) unfinishedBy.set(owner, many);
      else unfinishedBy.delete(owner);
    },
    guard(work) {
      const before = { ...all };
      const byBefore = new Map(unfinishedBy);
      let holds = false;
      try {
        const outcome = work();
        holds = outcome.kind !== "unavailable";
        return outcome;
      } finally {
        if (!holds) {
          Object.assign(all, before);
          unfinishedBy = byBefore;
        }
      }
    },
  };
}
