// What the settings of the async lane demand of each other.

import type { Values } from "./schema.ts";
import type { Sources } from "./sources.ts";

const placeKeys = ["endpoint", "region", "output", "input", "manifests", "models"] as const;
const bronze = (key: string) => ["tier", "bronze", key];

export function* bronzeNeedsRunner({ tier }: Values, sources: Sources) {
  const written = placeKeys.map((key) => bronze(key)).find((path) => sources.written(path));
  if (tier.bronze.runner !== undefined || written === undefined) return;
  yield sources.problem(
    written,
    `${sources.called(written)} is written, but tier.bronze.runner is not`,
    'write runner = "sagemaker" or runner = "local" under [tier.bronze]',
  );
}

export function* sageMakerHasItsPlace({ tier }: Values, sources: Sources) {
  if (tier.bronze.runner !== "sagemaker") return;
  for (const [key, example] of [
    ["endpoint", '"story-bronze"'],
    ["region", '"us-east-1"'],
    ["output", '"s3://bucket/results"'],
    ["models", '["story-70b"]'],
  ] as const) {
    if (tier.bronze[key] !== undefined) continue;
    yield sources.problem(
      bronze("runner"),
      `${sources.called(bronze("runner"))} is "sagemaker", but tier.bronze.${key} is not written`,
      `write ${key} = ${example}, or what it is for you, under [tier.bronze]; or runner = "local"`,
    );
  }
}

/** A peer that adopts a job has nothing of it but what is in S3. */
export function* manifestsNeedInput({ tier }: Values, sources: Sources) {
  if (tier.bronze.manifests === undefined || tier.bronze.input !== undefined) return;
  yield sources.problem(
    bronze("manifests"),
    `${sources.called(bronze("manifests"))} is written, but tier.bronze.input is not`,
    'write input = "s3://bucket/inputs" under [tier.bronze]: a host that takes a job over finds its request there',
  );
}

export function* localNeedsNoPlace({ tier }: Values, sources: Sources) {
  if (tier.bronze.runner !== "local") return;
  for (const key of placeKeys) {
    if (tier.bronze[key] === undefined) continue;
    yield sources.problem(
      bronze(key),
      `${sources.called(bronze(key))} is written, but tier.bronze.runner is "local", which has no use for it`,
      "take it out: jobs run on this fleet, with its models, and live on this host's disk",
    );
  }
}

export function* jobsNeedBronze({ tier }: Values, sources: Sources) {
  const written = ["max_queued", "retention_hours"]
    .map((key) => ["jobs", key])
    .find((path) => sources.written(path));
  if (tier.bronze.runner !== undefined || written === undefined) return;
  yield sources.problem(
    written,
    `${sources.called(written)} is written, but tier.bronze.runner is not, and so there are no jobs`,
    'write runner = "local" under [tier.bronze], or take it out',
  );
}

/** What the endpoint does not list is refused as unknown, whatever alias leads to it. */
export function* bronzeAliasesNameItsModels({ tier: { bronze }, aliases }: Values, sources: Sources) {
  if (bronze.runner !== "sagemaker" || bronze.models === undefined) return;
  for (const [name, { tier, model }] of Object.entries(aliases)) {
    if (tier !== "bronze" || model === undefined || bronze.models.includes(model)) continue;
    yield sources.problem(
      ["aliases", name, "model"],
      `the alias ${name} means ${model}, which tier.bronze.models does not list`,
      "add it there if the endpoint serves it, or correct the name",
    );
  }
}
