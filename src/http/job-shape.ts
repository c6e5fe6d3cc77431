// A job as callers read it.

import { asBuffer } from "../base/as-buffer.ts";
import type { SeenJob } from "../jobs/desk.ts";
import type { Job } from "../jobs/job.ts";
import { isEnd, statusOf } from "../jobs/job.ts";
import type { BadRequest } from "./errors.ts";

/** Times are whole seconds since 1970, as in all of OpenAI's objects. */
export const shownJob = (job: Job) => ({
  id: job.id,
  object: "job",
  kind: job.kind,
  model: job.model,
  status: statusOf(job.state),
  created_at: seconds(job.acceptedAtMs),
  expires_at: seconds(job.acceptedAtMs + job.ttlMs),
  ...(job.endedAtMs !== undefined && { ended_at: seconds(job.endedAtMs) }),
  ...(job.error !== undefined && { error: job.error }),
});

const seconds = (ms: number): number => Math.floor(ms / 1000);

/** The result is the engine's own answer, byte for byte. */
export function jobJson({ job, result }: SeenJob): string {
  const text = JSON.stringify(shownJob(job));
  return result === undefined
    ? text
    : `${text.slice(0, -1)},"result":${asBuffer(result).toString("utf8").trim()}}`;
}

const bodies = new WeakMap<Uint8Array, Blob>();

/** One body for all who are given the same bytes: a thousand may have waited for one result of megabytes. */
export function jobText(seen: SeenJob): Blob | string {
  if (seen.result === undefined) return jobJson(seen);
  const body = bodies.get(seen.result) ?? new Blob([jobJson(seen)]);
  bodies.set(seen.result, body);
  return body;
}

/** 202 as long as there is something to come back for. */
export const jobResponse = (seen: SeenJob, headers: Readonly<Record<string, string>> = {}): Response =>
  new Response(jobText(seen), {
    status: isEnd(seen.job.state) ? 200 : 202,
    headers: { "content-type": "application/json", location: jobPath(seen.job.id), ...headers },
  });

export const jobsPath = "/v1/jobs";

export const jobPath = (id: string): string => `${jobsPath}/${encodeURIComponent(id)}`;

/** Of what was asked about jobs. */
export const mustBe = (param: string, needed: string): BadRequest => ({
  code: "invalid_request",
  message: `\`${param}\` must be ${needed}.`,
  param,
});
