// What is asked of the jobs of this host, and answered: every change is on the disk before it returns, and happens only from
// a state and with a fence that allow it. How is sqlite-store.ts's, when to change what lane.ts's.

import type { EndState, Job, JobError, JobKind, JobState, JobStatus, JobToDo } from "./job.ts";
import type { HandedOver } from "./runner.ts";
import type { Trouble } from "./trouble.ts";

/** What a door hands in; the rest of a job begins at zero. */
export interface NewJob {
  readonly id: string;
  readonly owner: string | null;
  readonly kind: JobKind;
  readonly model: string;
  readonly ttlMs: number;
  readonly acceptedAtMs: number;
  readonly outputKey: string;
  readonly request: Uint8Array;
}

export interface Idempotency {
  readonly caller: string | null;
  readonly key: string;
  readonly bodyHash: string;
}

export interface Unavailable {
  readonly kind: "unavailable";
  readonly trouble: Trouble;
}

export type Accepted =
  | { readonly kind: "stored"; readonly job: Job }
  /** The key, or the id, is known: nothing was stored. */
  | { readonly kind: "same"; readonly job: Job }
  | { readonly kind: "mismatch" }
  /** `of` its owner: others may still have jobs taken. */
  | { readonly kind: "full"; readonly limit: number; readonly of?: "owner" }
  | Unavailable;

export type Moved =
  | { readonly kind: "moved"; readonly job: Job }
  /** The fence or the state was not as the caller thought: what it is; undefined, it is gone. */
  | { readonly kind: "refused"; readonly job: Job | undefined }
  | Unavailable;

export type Found<T> = { readonly kind: "found"; readonly value: T } | Unavailable;

export interface JobQuery {
  /** Only the jobs of this key name; null, of callers without one; absent, all. */
  readonly owner?: string | null;
  readonly status?: JobStatus;
  /** The id with which the page before ended. */
  readonly after?: string;
  readonly limit: number;
}

export interface JobPage {
  readonly jobs: readonly Job[];
  readonly hasMore: boolean;
}

/** What a move writes beside the state; all of it is the caller's who holds the fence. */
export type Move =
  /** Begins an attempt and takes a new fence. `recovered`: it was found `submitting` after a crash. */
  | { readonly to: "submitting"; readonly recovered?: boolean }
  | { readonly to: "accepted" }
  | { readonly to: "submitted"; readonly handedOver: HandedOver }
  | Ending;

export type Ending =
  | { readonly to: "done"; readonly result: Uint8Array; readonly endedAtMs: number }
  | {
      readonly to: Exclude<EndState, "done" | "cancelled">;
      readonly error: JobError;
      readonly endedAtMs: number;
    };

/** A cancel among them. */
export type AnyEnding = Ending | { readonly to: "cancelled"; readonly endedAtMs: number };

export interface JobStore {
  /** Where a damaged file of before was put. */
  readonly setAside: string | undefined;
  /** The run before did not end by `close`. */
  readonly crashed: boolean;
  accept(job: NewJob, idempotency?: Idempotency): Accepted;
  /**
   * What `work` writes here is written as one, with one sync, and sees what came before it. Its answers hold once this has
   * answered; where the disk refuses any of it, nothing has happened. Throws what `work` throws.
   */
  together<T>(work: () => T): Found<T>;
  /** Another host's job, which may have been handed over there. Neither `queuedMost` nor `ownerQueuedMost` holds for it. */
  adopt(job: NewJob): Accepted;
  get(id: string): Found<Job | undefined>;
  /** With the bytes of the request. */
  toDo(id: string): Found<JobToDo | undefined>;
  /** The bytes of a job that is `done`. */
  result(id: string): Found<Uint8Array | undefined>;
  list(query: JobQuery): Found<JobPage>;
  /** The oldest first. As many as may be queued, and those that were adopted. */
  unfinished(): Found<readonly Job[]>;
  move(id: string, fence: number, move: Move): Moved;
  /** Whoever holds the fence: he will find it changed. */
  cancel(id: string, endedAtMs: number): Moved;
  /** Of a job that is not ended: nothing of it is left. What has ended has been seen, and stays. */
  forget(id: string): Found<"forgotten" | "not-there">;
  /** Forgets up to `atMost` jobs that ended at or before `endedAtMs`, the earliest first; how many it were. */
  sweep(endedAtMs: number, atMost: number): Found<number>;
  counts(): Readonly<Record<JobState, number>>;
  /** Of the jobs that are not ended. */
  oldestAcceptedAtMs(): number | undefined;
  /** From acceptance to result, of the jobs that were done last. */
  recentDurationsMs(atMost: number): readonly number[];
  /** The next start will know that this was no crash. */
  close(): void;
}

export interface StoreLimits {
  /** Jobs that are not ended. */
  readonly queuedMost: number;
  /** Those of one owner; asked for each new job. Absent: as many as of all. */
  readonly ownerQueuedMost?: () => number;
  /** Of the file. New jobs are refused above seven eighths of it, so that those inside can still end. */
  readonly bytesMost: number;
}

/** A page is at most so long, whatever is asked. */
export const pageMost = 100;
