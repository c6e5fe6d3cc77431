// A job as columns and back.

import type { Job, JobKind, JobState } from "./job.ts";
import { isJobKind, jobStates } from "./job.ts";

/** The columns of `jobs` without its own number, in the order of `JobRow`. */
export const jobColumns = `id, owner, kind, model, ttl_ms, accepted_at_ms, state, attempt, fence, recoveries,
  output_key, inference_id, failure_location, error_code, error_message, ended_at_ms`;

export interface JobRow {
  readonly id: string;
  readonly owner: string | null;
  readonly kind: string;
  readonly model: string;
  readonly ttl_ms: number;
  readonly accepted_at_ms: number;
  readonly state: string;
  readonly attempt: number;
  readonly fence: number;
  readonly recoveries: number;
  readonly output_key: string;
  readonly inference_id: string | null;
  readonly failure_location: string | null;
  readonly error_code: string | null;
  readonly error_message: string | null;
  readonly ended_at_ms: number | null;
}

export function jobOf(row: JobRow): Job {
  return {
    id: row.id,
    owner: row.owner,
    kind: kindOf(row.kind),
    model: row.model,
    ttlMs: row.ttl_ms,
    acceptedAtMs: row.accepted_at_ms,
    state: stateOf(row.state),
    attempt: row.attempt,
    fence: row.fence,
    recoveries: row.recoveries,
    outputKey: row.output_key,
    ...(row.inference_id !== null && { inferenceId: row.inference_id }),
    ...(row.failure_location !== null && { failureLocation: row.failure_location }),
    ...(row.error_code !== null && { error: { code: row.error_code, message: row.error_message ?? "" } }),
    ...(row.ended_at_ms !== null && { endedAtMs: row.ended_at_ms }),
  };
}

// Only this program writes the file, and never another word: such a row is a bug.
function stateOf(text: string): JobState {
  const state = jobStates.find((each) => each === text);
  if (state === undefined) throw new Error(`No job is ${JSON.stringify(text)}.`);
  return state;
}

function kindOf(text: string): JobKind {
  if (!isJobKind(text)) throw new Error(`No job asks for ${JSON.stringify(text)}.`);
  return text;
}
