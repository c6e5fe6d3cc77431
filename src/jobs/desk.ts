// What a door may ask about jobs, and what it is answered: every refusal is a value with a code. A caller sees the jobs of
// its own key and no others. Who answers: lane-desk.ts, and where there is no lane idle-desk.ts.

import type { Leaving } from "../base/departure.ts";
import type { Reuse } from "../dispatch/reuse.ts";
import type { DeskRefusal } from "./desk-refusal.ts";
import type { Job, JobKind } from "./job.ts";
import type { JobRunner } from "./runner.ts";
import type { JobPage, JobQuery } from "./store.ts";

export const deskRule = {
  /** SageMaker keeps a request in its queue no longer than six hours. */
  ttlMsMost: 6 * 3_600_000,
  ttlMsUsual: 3_600_000,
  /** Callers that wait for an end, all together; whoever comes on top is told at once how things stand. */
  waitersMost: 10_000,
  /** Of S3, where it is asked for a job that is not here; its caller is waiting. */
  seekMostMs: 5_000,
} as const;

export interface JobOrder {
  /** The name of the caller's key; undefined where nobody is asked for one. */
  readonly caller: string | undefined;
  readonly kind: JobKind;
  /** The one model that will do; undefined: whatever the lane has. */
  readonly model: string | undefined;
  /** What the request itself names. */
  readonly modelName: string | undefined;
  readonly request: Uint8Array;
  readonly ttlMs: number;
  readonly idempotencyKey?: string | undefined;
  /** Undefined: its result is for this order alone. */
  readonly reuse?: Reuse | undefined;
}

export interface SeenJob {
  readonly job: Job;
  /** The engine's own answer, of a job that is done. */
  readonly result: Uint8Array | undefined;
}

/**
 * The job is another host's to answer for. `member`: who has it, or who named it; this host itself where it has lost the
 * job, or forgotten it, and only S3 may know.
 */
export interface Elsewhere {
  readonly kind: "elsewhere";
  readonly id: string;
  readonly member: string;
  /** As S3 knows it, where it was asked: told where that member cannot be. */
  readonly job?: Job;
}

export type Ordered =
  | ({
      /** `same`: its idempotency key is known. `known-result`: the same was asked and done a moment ago. */
      readonly kind: "accepted" | "same" | "known-result";
    } & SeenJob)
  | Elsewhere
  | DeskRefusal;

export type FoundJob = ({ readonly kind: "found" } & SeenJob) | Elsewhere | DeskRefusal;

/** Of one caller. */
export type JobsWanted = Omit<JobQuery, "owner">;

export type ListedJobs = ({ readonly kind: "listed" } & JobPage) | DeskRefusal;

export interface JobDesk {
  /** Where jobs are done. */
  readonly runner: JobRunner["name"];
  /** What a job survives: the loss of this host, or only its crash. Undefined: none is taken here. */
  readonly durability: "fleet" | "host" | undefined;
  /** What it calls its models; undefined: it has what the fleet has. */
  readonly models: readonly string[] | undefined;
  /** A longer request is refused. */
  readonly requestBytesMost: number;
  /** Whether a job for this model, or for none, can be done here. */
  takes(model: string | undefined): boolean;
  /** How long jobs took of late, from acceptance to result; undefined: nobody knows. */
  typicalMs(): number | undefined;
  order(order: JobOrder): Promise<Ordered>;
  get(id: string, caller: string | undefined): FoundJob;
  /** As `get`, when the job has ended, the time is over or the caller has left. */
  wait(id: string, caller: string | undefined, waitMs: number, callerLeft: Leaving): Promise<FoundJob>;
  list(caller: string | undefined, wanted: JobsWanted): ListedJobs;
  cancel(id: string, caller: string | undefined): Promise<FoundJob>;
  /**
   * What S3 knows of a job whose host cannot be asked, and that is not in the store here. `elsewhere`: that member has it
   * and is alive. Absent where S3 knows of no jobs.
   */
  seek?(id: string, caller: string | undefined, signal: AbortSignal): Promise<FoundJob>;
}

/** As `JobDesk.takes`, where jobs are done with these. */
export const takesOf =
  (models: JobDesk["models"]): JobDesk["takes"] =>
  (model) =>
    models === undefined || model === undefined || models.includes(model);
