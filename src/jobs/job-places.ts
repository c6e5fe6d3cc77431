// Where what belongs to a job lies in S3: worked out from its id and its age alone, so that whoever knows the job finds it.

import { readJobId, ulidOf } from "./job-id.ts";
import type { ObjectPlace } from "./objects.ts";
import { below } from "./objects.ts";

export interface Aged {
  readonly id: string;
  readonly acceptedAtMs: number;
}

/** `jobs/<yyyymmdd>/<member>`: what SageMaker calls the path extension. */
export function jobFolder({ id, acceptedAtMs }: Aged): string {
  const day = new Date(acceptedAtMs).toISOString().slice(0, 10).replaceAll("-", "");
  return `jobs/${day}/${plainName(readJobId(id)?.member ?? "")}`;
}

export const outputFile = ({ id }: Aged): string => `${ulidOf(id)}.out`;

export const outputPlace = (output: ObjectPlace, job: Aged): ObjectPlace =>
  below(output, jobFolder(job), outputFile(job));

export const inputPlace = (input: ObjectPlace, job: Aged): ObjectPlace =>
  below(input, jobFolder(job), `${ulidOf(job.id)}.json`);

/**
 * Below `manifests`. `jobs`: its manifest. `results`: its result as it is shown; nobody writes there twice, where an output
 * of SageMaker's may be overwritten.
 */
export const keptPlace = (manifests: ObjectPlace, what: "jobs" | "results", id: string): ObjectPlace =>
  below(manifests, what, plainName(readJobId(id)?.member ?? ""), ulidOf(id));

/** SageMaker takes no other signs in a path, and a slash would be a folder more. */
export const plainName = (member: string): string => member.replace(/[^a-zA-Z0-9!_.*'()-]/g, "_");
