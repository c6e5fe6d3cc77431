// A SageMaker runner over the real SDK and the stand-in for AWS. One a test file: the SDK reads its variables from the
// process.

import type { AwsOptions, Aws as StandIn } from "../../playground/aws.ts";
import { startAws } from "../../playground/aws.ts";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { Aws } from "../../src/jobs/aws.ts";
import { openAws } from "../../src/jobs/aws.ts";
import type { SageMakerPlaces, SageMakerRunner } from "../../src/jobs/sagemaker.ts";
import { createSageMakerRunner } from "../../src/jobs/sagemaker.ts";
import { awsVariables } from "./aws-variables.ts";

export interface SageMakerScene {
  readonly standIn: StandIn;
  readonly aws: Aws;
  readonly runner: SageMakerRunner;
  /** What the runners have said of results that may stay unseen. */
  readonly hidden: string[];
  runnerWith(places: Partial<SageMakerPlaces>): SageMakerRunner;
  stop(): Promise<void>;
}

export const scenePlaces: SageMakerPlaces = {
  endpoint: "story-bronze",
  output: { bucket: "bucket", key: "results" },
  input: { bucket: "bucket", key: "inputs" },
  inputIsThere: false,
};

export function sageMakerScene(options: Partial<AwsOptions> = {}): SageMakerScene {
  const standIn = startAws({ workMs: 1, ...options });
  awsVariables(standIn.env);
  const aws = openAws("us-east-1", process.env, systemClock, seededRandom(1));
  const hidden: string[] = [];
  const runnerWith = (places: Partial<SageMakerPlaces>): SageMakerRunner =>
    createSageMakerRunner({ ...scenePlaces, ...places }, aws, systemClock, (why) => hidden.push(why));
  return {
    standIn,
    aws,
    runner: runnerWith({}),
    hidden,
    runnerWith,
    async stop() {
      aws.close();
      await standIn.stop();
    },
  };
}
