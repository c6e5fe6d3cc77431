// What a runner is: one way to get a job done. What it must know after a crash is in the job's row before it acts.

import type { Job, JobError, JobToDo } from "./job.ts";

export interface HandedJob extends JobToDo {
  /** Of its ttl. The wall clock may have been set since it was accepted. */
  readonly leftMs: number;
}

export interface JobRunner {
  readonly name: "sagemaker" | "local";
  /** What it was handed goes on when this process ends. Else it must be handed over again. */
  readonly outlives: boolean;
  /** After its ttl, how much longer a job that was handed over may still come to an end there, and be looked for. */
  readonly marginMs: number;
  /** How long to leave new jobs alone; undefined: one may be started now. */
  busyMs(): number | undefined;
  /** Chosen before the first call and stored: where the result will be. The same for the same job, always. */
  outputKey(job: Pick<JobToDo, "id" | "acceptedAtMs">): string;
  /**
   * Hands it over. The row is `submitting` already, with this attempt counted. Never rejects. `began`: called where the
   * job is being done while this call is still under way; more than once is once.
   */
  submit(job: HandedJob, signal: AbortSignal, began?: () => void): Promise<Submitted>;
  /** Looks for the end of a job that was, or may have been, handed over: also before it is handed over again. Never rejects. Without the request's bytes: looks are many. */
  look(job: Job, signal: AbortSignal): Promise<Looked>;
}

/** Not the job's fault (throttled, 5xx, no network, no credentials, no room, cut short): the same again later. */
export interface Again {
  readonly kind: "again";
  readonly afterMs: number;
  readonly why: string;
  /**
   * What it says something about. `runner`: the others wait as well. `job`: the others need not wait. `room`: it was taken
   * and given back for others: the runner takes jobs, and this one comes again after `afterMs`, not ever later.
   */
  readonly about: "runner" | "job" | "room";
}

export type Ended =
  | { readonly kind: "done"; readonly result: Uint8Array }
  | { readonly kind: "failed"; readonly error: JobError };

export const failed = (message: string, code = "upstream_failed"): Ended => ({
  kind: "failed",
  error: { code, message },
});

/** What is to be stored with the move to `submitted`. `outputKey`: where the result will be after all, if not as asked. */
export interface HandedOver {
  readonly kind: "submitted";
  readonly inferenceId?: string;
  readonly outputKey?: string;
  readonly failureLocation?: string;
}

export type Submitted = HandedOver | Ended | Again;

/** `absent`: no end of it is there, whether or not it was ever handed over. */
export type Looked = { readonly kind: "absent" } | Ended | Again;
