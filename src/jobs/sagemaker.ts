// The runner that hands jobs to a SageMaker endpoint for asynchronous inference and finds their results in S3. When to
// hand over, look and give up is lane.ts's.

import type { Clock, Instant } from "../base/clock.ts";
import type { AsyncCall, Aws, EndpointAnswer } from "./aws.ts";
import { openEnvelope, shown } from "./envelope.ts";
import type { Job, JobToDo } from "./job.ts";
import { jobTraceparent, ulidOf } from "./job-id.ts";
import { inputPlace, jobFolder, outputFile, outputPlace } from "./job-places.ts";
import type { CallFault, CallTrouble, ObjectPlace, ObjectRead } from "./objects.ts";
import { readS3Url, s3Url } from "./objects.ts";
import type { Again, Ended, HandedJob, JobRunner, Looked, Submitted } from "./runner.ts";
import { failed } from "./runner.ts";
import { unstreamed } from "./unstreamed.ts";

export const sageMakerRule = {
  /** SageMaker's own; a longer body goes by way of S3. */
  inlineBytesMost: 128_000,
  /** An answer is text; it is kept in the job file and read as a whole. */
  resultBytesMost: 16 * 1024 * 1024,
  failureBytesMost: 64 * 1024,
  /** What SageMaker takes: of its queue, and of one invocation. */
  queueSeconds: { least: 60, most: 21_600 },
  invocationSeconds: { least: 1, most: 3600 },
  /** A result that was written in the last moment is still found. */
  marginMs: 5_000,
  /** `DescribeEndpoint` is throttled for the whole account. */
  statusKeptMs: 30_000,
} as const;

export interface SageMakerPlaces {
  readonly endpoint: string;
  /** The endpoint's own output path. */
  readonly output: ObjectPlace;
  /** Undefined: a body that is too long to be sent along cannot be sent. */
  readonly input: ObjectPlace | undefined;
  /** The input was put there before the job was accepted: see manifest.ts. */
  readonly inputIsThere: boolean;
}

export interface SageMakerRunner extends JobRunner {
  /** What AWS says of the endpoint, half a minute old at most. Zero instances is normal. */
  endpointStatus(signal: AbortSignal): Promise<EndpointAnswer>;
}

/** How long to leave it, at least. The lane's own back-off comes on top. `cut`: whoever cut it short knows. */
const againMs: Readonly<Record<CallFault, number>> = {
  throttled: 1_000,
  server: 1_000,
  network: 1_000,
  timeout: 1_000,
  // Mostly one question to the metadata service that was lost as the host started.
  credentials: 1_000,
  // Somebody has to change a policy, and AWS takes a minute to notice.
  denied: 30_000,
  refused: 30_000,
  cut: 0,
};

/** `onHidden`: told at each look why a result may stay unseen although it is there. */
export function createSageMakerRunner(
  places: SageMakerPlaces,
  aws: Aws,
  clock: Clock,
  onHidden: (why: string) => void,
): SageMakerRunner {
  let status: { readonly until: Instant; readonly answer: Promise<EndpointAnswer> } | undefined;

  const read = async (place: ObjectPlace, bytesMost: number, signal: AbortSignal): Promise<ObjectRead> => {
    if (await aws.objects.isSurelyMissing(place, signal)) return { kind: "missing" };
    const found = await aws.objects.get(place, bytesMost, signal);
    if (found.kind === "hidden") onHidden(found.why);
    return found;
  };

  /** Of a body that is too long to be sent along. */
  const putInput = async (
    job: JobToDo,
    body: Uint8Array,
    signal: AbortSignal,
  ): Promise<AsyncCall["input"] | Ended | Again> => {
    const { input, inputIsThere } = places;
    if (input === undefined) return tooLong(body.byteLength);
    const place = inputPlace(input, job);
    if (inputIsThere) return { location: s3Url(place) };
    const put = await aws.objects.put(place, body, "always", signal);
    if (put.kind === "trouble") {
      const tried = again(put, "The input could not be put into S3");
      // Something about these bytes: those of the others may do.
      return put.trouble === "refused" ? { ...tried, about: "job" } : tried;
    }
    return { location: s3Url(place) };
  };

  return {
    name: "sagemaker",
    outlives: true,
    marginMs: sageMakerRule.marginMs,
    // It takes any number and queues them itself; when it throttles, `again` says so.
    busyMs: () => undefined,
    outputKey: (job) => s3Url(outputPlace(places.output, job)),

    async submit(job, signal) {
      const body = unstreamed(job.request);
      const isInline = !places.inputIsThere && body.byteLength <= sageMakerRule.inlineBytesMost;
      const input = isInline ? { body } : await putInput(job, body, signal);
      if ("kind" in input) return input;
      const taken = await aws.invokeAsync(callOf(places.endpoint, job, input), signal);
      if (taken.kind === "trouble") return refusedOrAgain(taken);
      return {
        kind: "submitted",
        inferenceId: taken.inferenceId ?? inferenceId(job),
        // Its own word counts, should the endpoint write elsewhere than the configuration says.
        ...(taken.outputLocation !== undefined && { outputKey: taken.outputLocation }),
        ...(taken.failureLocation !== undefined && { failureLocation: taken.failureLocation }),
      };
    },

    async look(job, signal) {
      const output = readS3Url(job.outputKey) ?? outputPlace(places.output, job);
      const result = await read(output, sageMakerRule.resultBytesMost, signal);
      if (result.kind !== "missing" && result.kind !== "hidden") return resultOf(result, job);
      // Where no answer to a hand-over came, nobody knows its failure key; the next hand-over will tell.
      const failure = job.failureLocation === undefined ? undefined : readS3Url(job.failureLocation);
      if (failure === undefined) return { kind: "absent" };
      return failureOf(await read(failure, sageMakerRule.failureBytesMost, signal));
    },

    async endpointStatus(signal) {
      if (status === undefined || clock.now() >= status.until)
        status = {
          until: clock.now() + sageMakerRule.statusKeptMs,
          answer: aws.describeEndpoint(places.endpoint, signal),
        };
      const asked = status;
      const answer = await asked.answer;
      // What could not be learnt is asked again by the next who wants to know.
      if (answer.kind === "trouble" && status === asked) status = undefined;
      return answer;
    },
  };
}

const inferenceId = (job: Job): string => `${ulidOf(job.id)}-${job.attempt}`;

function callOf(endpoint: string, job: HandedJob, input: AsyncCall["input"]): AsyncCall {
  const { queueSeconds, invocationSeconds } = sageMakerRule;
  const leftSeconds = Math.ceil(job.leftMs / 1000);
  return {
    endpoint,
    input,
    inferenceId: inferenceId(job),
    customAttributes: `traceparent=${jobTraceparent(job)},tier=bronze`,
    outputPath: jobFolder(job),
    filename: outputFile(job),
    requestTtlSeconds: within(leftSeconds, queueSeconds),
    invocationTimeoutSeconds: within(leftSeconds, invocationSeconds),
  };
}

const within = (
  seconds: number,
  { least, most }: { readonly least: number; readonly most: number },
): number => Math.min(most, Math.max(least, seconds));

/** A 4xx is the job's end, but for those that say something about the account or the endpoint and not about the job. */
function refusedOrAgain(call: CallTrouble): Submitted {
  const isGone = /endpoint\b.*\bnot found|could not find endpoint/i.test(call.why);
  if (call.trouble === "refused" && !isGone) return failed(`SageMaker refused the job. ${call.why}`);
  return again(call, "SageMaker did not take the job");
}

const again = ({ trouble, why }: CallTrouble, what: string): Again => ({
  kind: "again",
  about: "runner",
  afterMs: againMs[trouble],
  why: `${what} (${trouble}): ${why}`,
});

const tooLong = (bytes: number): Ended =>
  failed(
    `The request is ${bytes} bytes long. SageMaker takes ${sageMakerRule.inlineBytesMost} with the call; more goes by way of S3, and tier.bronze.input names no place there.`,
    "request_too_large",
  );

function resultOf(found: Exclude<ObjectRead, { kind: "missing" | "hidden" }>, job: Job): Looked {
  switch (found.kind) {
    case "found": {
      const opened = openEnvelope(found.bytes, job);
      if (opened.ok) return { kind: "done", result: opened.result };
      return failed(`There is an answer, but ${opened.why}`);
    }
    case "too-large":
      return failed(`The answer is ${found.bytes} bytes long; ${sageMakerRule.resultBytesMost} are kept.`);
    case "trouble":
      return again(found, "The result could not be looked for");
  }
}

function failureOf(found: ObjectRead): Looked {
  switch (found.kind) {
    case "found":
      return failed(`The model failed on SageMaker: ${shown(found.bytes)}`);
    case "too-large":
      return failed("The model failed on SageMaker, at length: see the failure object.");
    case "trouble":
      return again(found, "The failure could not be looked for");
    default:
      return { kind: "absent" };
  }
}
