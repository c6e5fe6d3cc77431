// An end on its way into S3 before anybody sees it: of a job that is done its result first, where nobody writes twice, then
// the manifest. What stands there afterwards is what is shown, whoever computed what.

import type { Job, JobEnd, JobError } from "./job.ts";
import { keptPlace } from "./job-places.ts";
import type { Closing } from "./lane-ends.ts";
import type { Manifests } from "./manifests.ts";
import type { CallTrouble, ObjectPlace, Objects } from "./objects.ts";
import { readKnown, readS3Url, s3Url } from "./objects.ts";
import { sageMakerRule } from "./sagemaker.ts";
import type { AnyEnding } from "./store.ts";

/** Two conditional writes at one time may both be sent back; then again. */
const settleTriesMost = 3;

interface Settled {
  readonly kind: "settled";
  readonly result: Uint8Array;
  readonly outputKey: string;
}

type ClosedNow = Exclude<Closing, { kind: "again" }> | CallTrouble;

/** `place`: of the manifests. */
export function createClosing(place: ObjectPlace, manifests: Pick<Manifests, "close">, objects: Objects) {
  /** Of all that came of a job the first that is put there is its result: SageMaker's own may be overwritten. */
  async function settle(id: string, result: Uint8Array, signal: AbortSignal): Promise<Settled | CallTrouble> {
    const shown = keptPlace(place, "results", id);
    const outputKey = s3Url(shown);
    for (let tries = 0; tries < settleTriesMost; tries += 1) {
      const put = await objects.put(shown, result, "absent", signal);
      if (put.kind === "trouble") return put;
      if (put.kind === "stored") return { kind: "settled", result, outputKey };
      const first = await readResult(objects, outputKey, signal);
      if (first.kind === "trouble") return first;
      if (first.kind === "found") return { kind: "settled", result: first.bytes, outputKey };
    }
    return { kind: "trouble", trouble: "server", why: `${outputKey} cannot be written` };
  }

  /** The whole end that stands there; a result that was not put here just now is read. */
  async function standing(
    { state, error = unsaid, outputKey = "", endedAtMs }: JobEnd,
    settled: Settled | undefined,
    signal: AbortSignal,
  ): Promise<AnyEnding | CallTrouble> {
    if (state === "cancelled") return { to: state, endedAtMs };
    if (state !== "done") return { to: state, error, endedAtMs };
    if (settled?.outputKey === outputKey) return { to: state, result: settled.result, endedAtMs };
    const read = await readResult(objects, outputKey, signal);
    if (read.kind === "trouble") return read;
    if (read.kind === "found") return { to: state, result: read.bytes, endedAtMs };
    return { to: "failed", error: { code: "upstream_failed", message: resultGone(outputKey) }, endedAtMs };
  }

  return async (job: Job, wished: AnyEnding, signal: AbortSignal): Promise<ClosedNow> => {
    const settled = wished.to === "done" ? await settle(job.id, wished.result, signal) : undefined;
    if (settled?.kind === "trouble") return settled;
    const { to: state, endedAtMs } = wished;
    const closed = await manifests.close(
      job.id,
      {
        state,
        endedAtMs,
        ...("error" in wished && { error: wished.error }),
        ...(settled !== undefined && { outputKey: settled.outputKey }),
      },
      signal,
    );
    if (closed.kind !== "closed") return closed;
    const end = await standing(closed.end, settled, signal);
    return "kind" in end ? end : { kind: "closed", end };
  };
}

const unsaid: JobError = { code: "upstream_failed", message: "Its manifest does not say why." };

/** A result that is shown: where the manifest of a job that is done says. */
export async function readResult(objects: Objects, outputKey: string, signal: AbortSignal) {
  const place = readS3Url(outputKey);
  if (place === undefined) return { kind: "missing" } as const;
  return await readKnown(objects, place, sageMakerRule.resultBytesMost, signal);
}

export const resultGone = (outputKey: string): string =>
  `The job was done, but its result is at ${outputKey} no more. Results are kept there as long as the bucket's lifecycle rules say.`;
