// What a job is and how it may change: a table of legal moves and the public word for every state. Pure; the rows are
// sqlite-store.ts's, the changes lane.ts's.

import type { InferencePath } from "../engines/dialect.ts";

/** Nothing leaves them. */
export const endStates = ["done", "failed", "expired", "cancelled", "poisoned"] as const;

export type EndState = (typeof endStates)[number];

/**
 * `accepted`: durable, nobody was asked yet. `submitting`: somebody may have been asked; after a crash only the
 * runner can tell. `submitted`: somebody has it. The rest are ends.
 */
export const jobStates = ["accepted", "submitting", "submitted", ...endStates] as const;

export type JobState = (typeof jobStates)[number];

/**
 * Back to `accepted`: it was surely not, or not to its end, taken; one that had begun has made room, or whoever did it
 * broke. `submitting` again: a fresh attempt after a crash.
 * `done` from `accepted`: an earlier attempt that was thought lost has left its result after all.
 */
const moves: Readonly<Record<JobState, readonly JobState[]>> = {
  accepted: ["submitting", ...endStates],
  submitting: ["submitting", "accepted", "submitted", ...endStates],
  submitted: ["submitting", "accepted", ...endStates],
  done: [],
  failed: [],
  expired: [],
  cancelled: [],
  poisoned: [],
};

export const mayMove = (from: JobState, to: JobState): boolean => moves[from].includes(to);

/** The states from which a job may come to be `to`. */
export const sourcesOf = (to: JobState): readonly JobState[] => jobStates.filter((from) => mayMove(from, to));

export const isEnd = (state: JobState): boolean => moves[state].length === 0;

export const unfinishedStates: readonly JobState[] = jobStates.filter((state) => !isEnd(state));

/** What callers read. */
export const jobStatuses = ["queued", "running", "succeeded", "failed", "expired", "cancelled"] as const;

export type JobStatus = (typeof jobStatuses)[number];

const publicStatus: Readonly<Record<JobState, JobStatus>> = {
  accepted: "queued",
  submitting: "queued",
  submitted: "running",
  done: "succeeded",
  failed: "failed",
  expired: "expired",
  cancelled: "cancelled",
  poisoned: "failed",
};

export const statusOf = (state: JobState): JobStatus => publicStatus[state];

/** The states that a caller who asks for `status` means. */
export const statesOf = (status: JobStatus): readonly JobState[] =>
  jobStates.filter((state) => publicStatus[state] === status);

/** Which of the OpenAI-compatible bodies the request is. */
export const jobKinds = ["chat", "completion"] as const;

export type JobKind = (typeof jobKinds)[number];

export const isJobKind = (value: unknown): value is JobKind => jobKinds.some((kind) => kind === value);

/** Where such a request is answered. */
export const inferencePathOf = {
  chat: "/v1/chat/completions",
  completion: "/v1/completions",
} as const satisfies Readonly<Record<JobKind, InferencePath>>;

/** Why there is no result, for the caller to read. */
export interface JobError {
  readonly code: string;
  readonly message: string;
}

export const noResultInTime: JobError = {
  code: "deadline_exceeded",
  message: "Its ttl was over and no result has come.",
};

/** How a job ends, for others to read: its result is where `outputKey` says. */
export interface JobEnd {
  readonly state: EndState;
  readonly endedAtMs: number;
  readonly error?: JobError;
  readonly outputKey?: string;
}

/** Without its bytes: lists and looks never load those. */
export interface Job {
  readonly id: string;
  /** The caller's key name; null where nobody asks for keys. */
  readonly owner: string | null;
  readonly kind: JobKind;
  readonly model: string;
  /** Counts from acceptance to the result. */
  readonly ttlMs: number;
  /** Wall clock, as every `AtMs` here: it outlives the process. */
  readonly acceptedAtMs: number;
  readonly state: JobState;
  /** Hand-overs begun. */
  readonly attempt: number;
  /** Rises with every change of hands; who writes with an older one is refused. */
  readonly fence: number;
  /** Starts of the program that found it `submitting` after a crash. */
  readonly recoveries: number;
  /** Where the result will be: chosen before the first hand-over. */
  readonly outputKey: string;
  readonly inferenceId?: string;
  readonly failureLocation?: string;
  readonly error?: JobError;
  readonly endedAtMs?: number;
}

/** What a runner is handed. */
export interface JobToDo extends Job {
  readonly request: Uint8Array;
}
