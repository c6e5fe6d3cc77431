// Introduces the rooms of the async lane to each other: the job file, whoever does the jobs, what makes them outlive this
// host, the desk in front of them, and what an operator sees.

import type { CacheControl, CacheSettings } from "./base/cache-control.ts";
import { tokenBucket } from "./base/token-bucket.ts";
import type { BronzeConfig } from "./config/config.ts";
import type { JobsHealth } from "./http/door.ts";
import type { JobLogEvent } from "./job-log.ts";
import { jobLine } from "./job-log.ts";
import type { Way, WayParts } from "./job-ways.ts";
import { wayOf } from "./job-ways.ts";
import type { JobDesk } from "./jobs/desk.ts";
import { createClosedDesk } from "./jobs/idle-desk.ts";
import { statusOf } from "./jobs/job.ts";
import { jobFigures } from "./jobs/job-figures.ts";
import { createJobIds } from "./jobs/job-id.ts";
import type { Keeper } from "./jobs/keeper.ts";
import { createKeeper } from "./jobs/keeper.ts";
import type { Lane, LaneEvent } from "./jobs/lane.ts";
import { createLane, laneRules } from "./jobs/lane.ts";
import type { LaneDeskParts } from "./jobs/lane-desk.ts";
import { createLaneDesk } from "./jobs/lane-desk.ts";
import type { OperatorDesk } from "./jobs/operator-desk.ts";
import { createOperatorDesk } from "./jobs/operator-desk.ts";
import type { JobStore } from "./jobs/store.ts";
import { openJobStore } from "./jobs/store.ts";
import { watchStore } from "./jobs/store-watch.ts";
import type { Trouble } from "./jobs/trouble.ts";
import { registerJobGauges } from "./telemetry/job-gauges.ts";
import type { Registry } from "./telemetry/registry.ts";

const jobLaneRule = {
  /** Of the job file: ten thousand requests of 100 kB and their results, twice over. */
  fileBytesMost: 4 * 1024 ** 3,
  /** Lines a second about single jobs; a bad evening must not become a storm of lines. */
  linesPerSecond: 20,
  linesAtOnce: 100,
} as const;

export interface JobLaneParts extends WayParts {
  readonly config: BronzeConfig;
  readonly resultCache: CacheSettings;
  readonly stateDir: string;
  /** False while this host is to take on nothing more. */
  readonly mayAdopt: () => boolean;
  readonly registry: Registry;
}

export interface JobLane {
  readonly desk: JobDesk;
  /** The same jobs in the hands of an operator. */
  readonly operator: OperatorDesk;
  /** Which results the desk gives again; undefined: it gives none. */
  readonly kept: CacheControl | undefined;
  health(): JobsHealth;
  /** Begins to answer for the jobs of hosts that are gone, and for this host's own should it be gone. */
  start(): void;
  /** What is under way goes on at the next start. */
  stop(): Promise<void>;
}

export function createJobLane(parts: JobLaneParts): JobLane {
  const { config, member, clock, random, log, resultCache } = parts;
  const way = wayOf(config, parts);
  const desk: Omit<LaneDeskParts, "store" | "lane"> = {
    member,
    runner: way.runner,
    newId: createJobIds(member, clock, random),
    models: way.models,
    requestBytesMost: way.requestBytesMost,
    resultCache,
    ...(way.outliving !== undefined && { keeping: way.outliving.keeping }),
    clock,
    random,
  };
  const opened = openJobStore(parts.stateDir, {
    queuedMost: config.maxQueued,
    bytesMost: jobLaneRule.fileBytesMost,
  });
  if (!opened.ok) {
    log.error({ trouble: opened.trouble.kind }, opened.trouble.message);
    return closedLane(opened.trouble, desk, way, parts);
  }
  if (opened.store.setAside !== undefined) {
    const file = opened.store.setAside;
    log.error({ file }, "the job file was damaged: it is set aside, and an empty one begun");
  }
  return openLane(opened.store, desk, way, parts);
}

/** Jobs are refused with the reason; everybody else is served as ever. */
function closedLane(
  trouble: Trouble,
  deskParts: Omit<LaneDeskParts, "store" | "lane">,
  way: Way,
  { registry, clock, random }: JobLaneParts,
): JobLane {
  const desk = createClosedDesk(trouble, deskParts);
  const figures = () => jobFigures(undefined, clock);
  const counts = () => ({ recovered: 0, refusals: 0 });
  registerJobGauges(registry, { figures, storeAvailable: () => false, counts });
  return {
    desk,
    kept: undefined,
    operator: createOperatorDesk({ store: undefined, desk, random }),
    health: () => ({
      ...figures(),
      runner: way.runner.name,
      storeTrouble: trouble.message,
      endpoint: way.endpoint(),
    }),
    start: () => {},
    stop: () => Promise.resolve(way.close()),
  };
}

function openLane(
  file: JobStore,
  deskParts: Omit<LaneDeskParts, "store" | "lane">,
  way: Way,
  parts: JobLaneParts,
): JobLane {
  const { config, clock, random, log } = parts;
  const { store, trouble } = watchStore(file, clock);
  const figures = () => jobFigures(store, clock);

  const lines = tokenBucket(jobLaneRule.linesPerSecond, () => jobLaneRule.linesAtOnce, clock.now());
  const logged = (event: JobLogEvent): void => {
    const { level, fields, message } = jobLine(event);
    if (log.isLevelEnabled(level) && lines.withdraw(clock.now())) log[level](fields, message);
  };
  const ends = registerJobGauges(parts.registry, {
    figures,
    storeAvailable: () => trouble() === undefined,
    counts() {
      const { recovered, refusals } = lane.figures();
      return { recovered, refusals, yields: way.yields(), adopted: keeper?.figures().adopted, lost };
    },
  });
  /** Undefined: nobody can take a job from this host. */
  let lost = way.outliving && 0;
  const tell = (event: LaneEvent): void => {
    logged(event);
    if (event.kind === "lost" && lost !== undefined) lost += 1;
    if (event.kind !== "ended") return;
    const { state, acceptedAtMs, endedAtMs = acceptedAtMs } = event.job;
    ends.ended(statusOf(state), Math.max(0, endedAtMs - acceptedAtMs) / 1000);
  };
  const lane: Lane = createLane({
    store,
    runner: way.runner,
    clock,
    random,
    rules: { ...laneRules, retentionMs: config.retentionMs },
    ...(way.outliving !== undefined && { closing: way.outliving.keeping.closing }),
    tell,
  });
  const keeper: Keeper | undefined = way.outliving && keeperOf(way.outliving, lane, store, logged, parts);
  const desk = createLaneDesk({ ...deskParts, store, lane });
  return {
    desk,
    kept: desk.kept,
    operator: createOperatorDesk({ store, desk, random }),
    health: () => ({
      ...figures(),
      runner: way.runner.name,
      storeTrouble: trouble()?.message,
      endpoint: way.endpoint(),
    }),
    start: () => keeper?.start(),
    async stop() {
      keeper?.stop();
      await lane.stop();
      store.close();
      way.close();
    },
  };
}

function keeperOf(
  { keeping, leases }: NonNullable<Way["outliving"]>,
  lane: Lane,
  store: JobStore,
  tell: (event: JobLogEvent) => void,
  { member, members, mayAdopt, clock, random }: JobLaneParts,
): Keeper {
  return createKeeper({
    leases,
    manifests: keeping.manifests,
    lane,
    knows(id) {
      const found = store.get(id);
      return found.kind === "unavailable" || found.value !== undefined;
    },
    members,
    member,
    mayAdopt,
    clock,
    random,
    tell: (event) => tell({ kind: "keeper", event }),
  });
}
