// The runner against a SageMaker that nobody here wrote. It writes where it likes, and tells where: the hand-over's own
// word for the place must count.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { Aws } from "../../src/jobs/aws.ts";
import { openAws } from "../../src/jobs/aws.ts";
import { inputPlace } from "../../src/jobs/job-places.ts";
import type { SageMakerRunner } from "../../src/jobs/sagemaker.ts";
import { createSageMakerRunner } from "../../src/jobs/sagemaker.ts";
import { unstreamed } from "../../src/jobs/unstreamed.ts";
import { awsVariables } from "../support/aws-variables.ts";
import { jobToDo, lookUntilEnd, submittedJob, textOf } from "../support/job-to-do.ts";
import type { Moto } from "../support/moto.ts";
import { startMoto } from "../support/moto.ts";
import { needsTool } from "../support/needs-tool.ts";
import { scenePlaces } from "../support/sagemaker-scene.ts";

awsVariables({});
const { signal } = new AbortController();

describe.skipIf(!needsTool("moto_server"))("of moto", () => {
  let moto: Moto;
  let aws: Aws;
  let runner: SageMakerRunner;

  beforeAll(async () => {
    moto = await startMoto("story-bronze");
    Object.assign(process.env, moto.env);
    aws = openAws("us-east-1", process.env, systemClock, seededRandom(1));
    // All that is sent along shares one output there; what comes by way of S3 does not.
    runner = createSageMakerRunner({ ...scenePlaces, inputIsThere: true }, aws, systemClock, () => {});
  }, 40_000);
  afterAll(async () => {
    aws.close();
    await moto.stop();
  });

  /** Handed over, with its input put where an acceptance puts it. */
  const handOver = async (says: string) => {
    const job = jobToDo(runner, says);
    const { input = scenePlaces.output } = scenePlaces;
    await aws.objects.put(inputPlace(input, job), unstreamed(job.request), "always", signal);
    const submitted = await runner.submit(job, signal);
    if (submitted.kind !== "submitted") throw new Error(JSON.stringify(submitted));
    return submittedJob(job, submitted);
  };

  test("a job comes to its result, at the place that the hand-over told", async () => {
    const answer = { choices: [{ message: { content: "Well met." }, finish_reason: "stop" }] };
    await moto.results({ data: JSON.stringify(answer) });
    const job = await handOver("hello");
    const ended = await lookUntilEnd(runner, job);
    expect(ended.kind === "done" && textOf(ended.result)).toBe("Well met.");
  });

  test("a job that fails says with which words", async () => {
    await moto.results({ data: "the container ran out of memory", is_failure: true });
    expect(await lookUntilEnd(runner, await handOver("fail"))).toMatchObject({
      kind: "failed",
      error: { message: expect.stringContaining("ran out of memory") },
    });
  });

  test("a job that was never handed over is absent", async () => {
    expect(await runner.look(jobToDo(runner), signal)).toEqual({ kind: "absent" });
  });

  test("the endpoint is described, and one that is not there is not", async () => {
    expect(await runner.endpointStatus(signal)).toMatchObject({
      kind: "described",
      status: "InService",
      instances: 1,
    });
    expect(await aws.describeEndpoint("nobody", signal)).toMatchObject({
      kind: "trouble",
      trouble: "refused",
    });
  });
});
