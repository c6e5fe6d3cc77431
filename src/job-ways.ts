// The two ways to get a job done, as far as they differ in what they need: the engines of this fleet, or SageMaker and S3.

import { linkAws } from "./aws-link.ts";
import type { Clock } from "./base/clock.ts";
import type { Random } from "./base/random.ts";
import type { BronzeConfig } from "./config/config.ts";
import type { Dispatch } from "./dispatch/dispatch.ts";
import type { Fleet } from "./fleet/fleet.ts";
import type { EndpointSeen } from "./jobs/endpoint-watch.ts";
import { watchEndpoint } from "./jobs/endpoint-watch.ts";
import type { JobKeeping } from "./jobs/keeping.ts";
import { createKeeping } from "./jobs/keeping.ts";
import { createLocalRunner } from "./jobs/local.ts";
import { inputBytesMost } from "./jobs/manifests.ts";
import type { KnownMember } from "./jobs/members.ts";
import type { ObjectPlace } from "./jobs/objects.ts";
import { readS3Url } from "./jobs/objects.ts";
import type { PlayersFirst } from "./jobs/players-first.ts";
import type { JobRunner } from "./jobs/runner.ts";
import { createSageMakerRunner, sageMakerRule } from "./jobs/sagemaker.ts";
import type { RoutingPolicy } from "./routing/sla.ts";
import type { Log } from "./telemetry/log.ts";

/** What is put into a request on its way, a model's name for one. */
const addedBytesMost = 1024;

/** Between two lines about results that may not be seen: every look of every job would have one. */
const hiddenEveryMs = 600_000;

export interface WayParts {
  /** This host. */
  readonly member: string;
  readonly members: () => readonly KnownMember[];
  /** Where the AWS SDK looks for its endpoints and credentials. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly dispatch: Dispatch;
  readonly playersFirst: PlayersFirst;
  readonly fleet: Fleet;
  policy(): RoutingPolicy;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

export interface Way {
  readonly runner: JobRunner;
  /** What it calls its models; undefined: it has what the fleet has. */
  readonly models: readonly [string, ...string[]] | undefined;
  readonly requestBytesMost: number;
  /** What makes jobs outlive this host, where that is wanted. */
  readonly keeping?: JobKeeping;
  endpoint(): EndpointSeen | undefined;
  /** Times that a job gave way; undefined: none ever does. */
  yields(): number | undefined;
  close(): void;
}

export const wayOf = (config: BronzeConfig, parts: WayParts): Way =>
  config.runner === "local" ? onThisFleet(parts) : onSageMaker(config, parts);

function onThisFleet({ dispatch, playersFirst, fleet, policy, clock }: WayParts): Way {
  const runner = createLocalRunner({ dispatch, playersFirst, fleet, policy, clock });
  return {
    runner,
    models: undefined,
    requestBytesMost: Number.POSITIVE_INFINITY,
    endpoint: () => undefined,
    yields: runner.yields,
    close: () => {},
  };
}

function onSageMaker(
  config: Extract<BronzeConfig, { runner: "sagemaker" }>,
  { member, members, env, clock, random, log }: WayParts,
): Way {
  const aws = linkAws({ region: config.region, env });
  const { objects } = aws;
  const input = config.input === undefined ? undefined : placeOf(config.input);
  const manifests = config.manifests === undefined ? undefined : placeOf(config.manifests);
  const { endpoint, models } = config;
  const places = { endpoint, output: placeOf(config.output), input, inputIsThere: manifests !== undefined };
  let hiddenAt = Number.NEGATIVE_INFINITY;
  const onHidden = (why: string): void => {
    if (clock.now() - hiddenAt < hiddenEveryMs) return;
    hiddenAt = clock.now();
    log.warn({ why }, "S3 says 403: no result yet, or one that may not be read. Allow s3:ListBucket to know");
  };
  const runner = createSageMakerRunner(places, aws, clock, onHidden);
  const watch = watchEndpoint({
    ask: runner.endpointStatus,
    output: places.output,
    clock,
    warn: (what) => log.warn({ endpoint }, what),
  });
  const keeping =
    manifests === undefined || input === undefined
      ? undefined
      : createKeeping({ places: { manifests, input }, member, members, objects, clock, random });
  return {
    runner,
    models,
    requestBytesMost: requestBytesMost(input !== undefined, keeping !== undefined),
    ...(keeping !== undefined && { keeping }),
    endpoint: watch.last,
    yields: () => undefined,
    close() {
      watch.stop();
      aws.close();
    },
  };
}

/** Of a job's request, by what becomes of it: sent along with the call, read by SageMaker alone, or read by an adopter. */
function requestBytesMost(hasInput: boolean, isKept: boolean): number {
  if (!hasInput) return sageMakerRule.inlineBytesMost - addedBytesMost;
  return isKept ? inputBytesMost - addedBytesMost : Number.POSITIVE_INFINITY;
}

/** The configuration has been checked. */
function placeOf(url: string): ObjectPlace {
  const place = readS3Url(url);
  if (place === undefined) throw new Error(`not a place in S3: ${url}`);
  return place;
}
