// The settings of the async lane.

import { describe, expect, test } from "bun:test";
import { problemText } from "../../src/config/problem.ts";
import { complaints, engine, loadText } from "./load-text.ts";

/** Four lines of an engine, then these six. */
const sagemaker = `${engine}[tier.bronze]
runner = "sagemaker"
endpoint = "story-bronze"
region = "us-east-1"
output = "s3://bucket/results"
models = ["story-70b"]
`;
const local = `${engine}[tier.bronze]\nrunner = "local"\n`;

const refusals: readonly (readonly [situation: string, text: string, says: readonly string[]])[] = [
  [
    "SageMaker without its place",
    `${engine}[tier.bronze]\nrunner = "sagemaker"\nregion = "us-east-1"\n`,
    [
      'tierline.toml:6:10: tier.bronze.runner is "sagemaker", but tier.bronze.endpoint is not written\n  write endpoint = "story-bronze", or what it is for you, under [tier.bronze]; or runner = "local"',
      'tierline.toml:6:10: tier.bronze.runner is "sagemaker", but tier.bronze.output is not written\n  write output = "s3://bucket/results", or what it is for you, under [tier.bronze]; or runner = "local"',
      'tierline.toml:6:10: tier.bronze.runner is "sagemaker", but tier.bronze.models is not written\n  write models = ["story-70b"], or what it is for you, under [tier.bronze]; or runner = "local"',
    ],
  ],
  [
    "SageMaker without a model by name, whatever an alias means",
    `${sagemaker.replace(/models.*\n/, "models = []\n")}[aliases]\nteller = { tier = "bronze", model = "story-8b" }\n`,
    ['tierline.toml:10:10: tier.bronze.models must be a list of model names, such as ["story-70b"], not []'],
  ],
  [
    "a place for nobody",
    `${engine}[tier.bronze]\nregion = "us-east-1"\n`,
    [
      'tierline.toml:6:10: tier.bronze.region is written, but tier.bronze.runner is not\n  write runner = "sagemaker" or runner = "local" under [tier.bronze]',
    ],
  ],
  [
    "an output that is no place in S3",
    sagemaker.replace("s3://bucket/results", "https://bucket.s3.amazonaws.com/results"),
    [
      'tierline.toml:9:10: tier.bronze.output must be a place in S3, such as "s3://bucket/results", not "https://bucket.s3.amazonaws.com/results"\n  start it with s3:// and the name of the bucket',
    ],
  ],
  [
    "manifests without inputs",
    `${sagemaker}manifests = "s3://bucket/manifests"\n`,
    [
      'tierline.toml:11:13: tier.bronze.manifests is written, but tier.bronze.input is not\n  write input = "s3://bucket/inputs" under [tier.bronze]: a host that takes a job over finds its request there',
    ],
  ],
  [
    "a runner that is none",
    local.replace("local", "lambda"),
    ['tierline.toml:6:10: tier.bronze.runner must be one of "sagemaker", "local", not "lambda"'],
  ],
  [
    "no place for jobs at all",
    `${local}[jobs]\nmax_queued = 0\n`,
    ["tierline.toml:8:14: jobs.max_queued must be a whole number from 1 to 100000, not 0"],
  ],
];

const warnings: readonly (readonly [situation: string, text: string, says: readonly string[]])[] = [
  [
    "a bucket that nobody uses",
    `${local}output = "s3://bucket/results"\n`,
    [
      'tierline.toml:7:10: tier.bronze.output is written, but tier.bronze.runner is "local", which has no use for it\n  take it out: jobs run on this fleet, with its models, and live on this host\'s disk',
    ],
  ],
  [
    "an alias to a model that the endpoint does not list",
    `${sagemaker}[aliases]\nteller = { tier = "bronze", model = "story-8b" }\nnovel = { tier = "bronze", model = "story-70b" }\n`,
    [
      "tierline.toml:12:37: the alias teller means story-8b, which tier.bronze.models does not list\n  add it there if the endpoint serves it, or correct the name",
    ],
  ],
  [
    "an alias to a tier without a runner",
    `${engine}[aliases]\nteller = { tier = "bronze" }\n`,
    [
      "tierline.toml:6:19: the alias teller means bronze, which has no engine here\n  requests for it go to the next tier of their ladder, where there is one",
    ],
  ],
  [
    "room for jobs that there are not",
    `${engine}[jobs]\nmax_queued = 5\n`,
    [
      'tierline.toml:6:14: jobs.max_queued is written, but tier.bronze.runner is not, and so there are no jobs\n  write runner = "local" under [tier.bronze], or take it out',
    ],
  ],
];

describe("loadConfig refuses", () => {
  test.each(refusals.map((row) => row))("%s", (_, text, says) => {
    expect(loadText(text).ok).toBe(false);
    expect(complaints(text)).toEqual([...says]);
  });
});

describe("loadConfig accepts with a warning", () => {
  test.each(warnings.map((row) => row))("%s", (_, text, says) => {
    expect(loadText(text).ok).toBe(true);
    expect(complaints(text)).toEqual([...says]);
  });
});

const bronzeOf = (text: string) => {
  const loaded = loadText(text);
  if (!loaded.ok) throw new Error(loaded.errors.map(problemText).join("\n"));
  expect(loaded.warnings).toEqual([]);
  return loaded.config.bronze;
};
const usual = { maxQueued: 10_000, retentionMs: 86_400_000 };

describe("the async lane", () => {
  test("is none without its table", () => {
    expect(bronzeOf(engine)).toBeUndefined();
  });

  test("on SageMaker needs no engine beside it, and an alias may lead there", () => {
    const withoutEngine = sagemaker.slice(engine.length);
    expect(bronzeOf(`${withoutEngine}[aliases]\nteller = { tier = "bronze" }\n`)).toMatchObject({
      runner: "sagemaker",
    });
  });

  test("comes from the environment as well", () => {
    const env = {
      TIERLINE_TIER_BRONZE_RUNNER: "sagemaker",
      TIERLINE_TIER_BRONZE_ENDPOINT: "story-bronze",
      TIERLINE_TIER_BRONZE_REGION: "us-east-1",
      TIERLINE_TIER_BRONZE_OUTPUT: "s3://bucket/results",
      TIERLINE_TIER_BRONZE_MODELS: "story-70b,story-8b",
      TIERLINE_JOBS_MAX_QUEUED: "7",
    };
    expect(loadText(engine, { env })).toMatchObject({
      ok: true,
      config: { bronze: { models: ["story-70b", "story-8b"], maxQueued: 7 } },
    });
  });

  test("on this fleet needs no more than a word", () => {
    expect(bronzeOf(local)).toEqual({ runner: "local", ...usual });
  });

  test("on SageMaker has its endpoint, its places and its models", () => {
    const more = 'input = "s3://bucket/inputs"\nmanifests = "s3://bucket/manifests"\n';
    expect(bronzeOf(`${sagemaker}${more}[jobs]\nmax_queued = 5\nretention_hours = 2\n`)).toEqual({
      runner: "sagemaker",
      endpoint: "story-bronze",
      region: "us-east-1",
      output: "s3://bucket/results",
      input: "s3://bucket/inputs",
      manifests: "s3://bucket/manifests",
      models: ["story-70b"],
      maxQueued: 5,
      retentionMs: 7_200_000,
    });
  });
});
