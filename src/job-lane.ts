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
import { createAdoption } from "./jobs/adoption.ts";
import type { JobDesk } from "./jobs/desk.ts";
import { createClosedDesk } from "./jobs/idle-desk.ts";
import { statusOf } from "./jobs/job.ts";
import { jobFigures, jobsByStatus, oldestSeconds } from "./jobs/job-figures.ts";
import { createJobIds } from "./jobs/job-id.ts";
import type { Lane, LaneEvent } from "./jobs/lane.ts";
import { createLane } from "./jobs/lane.ts";
import type { LaneDeskParts } from "./jobs/lane-desk.ts";
import { createLaneDesk } from "./jobs/lane-desk.ts";
import type { OperatorDesk } from "./jobs/operator-desk.ts";
import { createOperatorDesk } from "./jobs/operator-desk.ts";
import { openJobStore } from "./jobs/sqlite-store.ts";
import type { JobStore } from "./jobs/store.ts";
import { watchStore } from "./jobs/store-watch.ts";
import { startSweep } from "./jobs/sweep.ts";
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
  /** Whether there is more than one key whose jobs must find a place. */
  readonly manyCallers: () => boolean;
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

/** What differs with whether the job file could be opened. */
interface Opened {
  readonly desk: JobDesk;
  readonly kept: CacheControl | undefined;
  readonly store: JobStore | undefined;
  trouble(): string | undefined;
  start(): void;
  stop(): Promise<void>;
}

export function createJobLane(parts: JobLaneParts): JobLane {
  const { config, member, manyCallers, clock, random, log, resultCache } = parts;
  const way = wayOf(config, parts);
  const deskParts: Omit<LaneDeskParts, "store" | "lane"> = {
    member,
    runner: way.runner,
    newId: createJobIds(member, clock, random),
    models: way.models,
    requestBytesMost: way.requestBytesMost,
    resultCache,
    ...(way.keeping !== undefined && { keeping: way.keeping }),
    clock,
    random,
  };
  const file = openJobStore(parts.stateDir, {
    queuedMost: config.maxQueued,
    ownerQueuedMost: () => (manyCallers() ? Math.max(1, Math.floor(config.maxQueued / 2)) : config.maxQueued),
    bytesMost: jobLaneRule.fileBytesMost,
  });
  if (!file.ok) log.error({ trouble: file.trouble.kind }, file.trouble.message);
  else if (file.store.setAside !== undefined) {
    const { setAside } = file.store;
    log.error({ file: setAside }, "the job file was damaged: it is set aside, and an empty one begun");
  }
  const { desk, kept, store, trouble, start, stop } = file.ok
    ? openLane(file.store, deskParts, way, parts)
    : closedLane(file.trouble, deskParts, parts);
  return {
    desk,
    kept,
    operator: createOperatorDesk({ store, desk, random }),
    health: () => ({
      ...jobFigures(store, clock),
      runner: way.runner.name,
      storeTrouble: trouble(),
      endpoint: way.endpoint(),
    }),
    start,
    async stop() {
      await stop();
      way.close();
    },
  };
}

/** Jobs are refused with the reason; everybody else is served as ever. */
function closedLane(
  trouble: Trouble,
  deskParts: Omit<LaneDeskParts, "store" | "lane">,
  { registry }: JobLaneParts,
): Opened {
  registerJobGauges(registry, {
    byStatus: () => jobsByStatus(undefined),
    oldestSeconds: () => 0,
    storeAvailable: () => false,
    counts: () => ({ recovered: 0, refusals: 0 }),
  });
  return {
    desk: createClosedDesk(trouble, deskParts),
    kept: undefined,
    store: undefined,
    trouble: () => trouble.message,
    start: () => {},
    stop: () => Promise.resolve(),
  };
}

function openLane(
  file: JobStore,
  deskParts: Omit<LaneDeskParts, "store" | "lane">,
  { runner, keeping, yields }: Way,
  { config, member, members, mayAdopt, clock, random, log, registry }: JobLaneParts,
): Opened {
  const { store, trouble } = watchStore(file, clock);

  const lines = tokenBucket(jobLaneRule.linesPerSecond, () => jobLaneRule.linesAtOnce, clock.now());
  const logged = (event: JobLogEvent): void => {
    const { level, fields, message } = jobLine(event);
    if (log.isLevelEnabled(level) && lines.withdraw(clock.now())) log[level](fields, message);
  };
  /** Undefined: no job goes from host to host. */
  const moved = keeping && { adopted: 0, lost: 0 };
  const ends = registerJobGauges(registry, {
    byStatus: () => jobsByStatus(store),
    oldestSeconds: () => oldestSeconds(store, clock),
    storeAvailable: () => trouble() === undefined,
    counts: () => ({ ...lane.figures(), yields: yields(), ...moved }),
  });
  const tell = (event: LaneEvent): void => {
    logged(event);
    if (event.kind === "lost" && moved !== undefined) moved.lost += 1;
    if (event.kind !== "ended") return;
    const { state, acceptedAtMs, endedAtMs = acceptedAtMs } = event.job;
    ends.ended(statusOf(state), Math.max(0, endedAtMs - acceptedAtMs) / 1000);
  };
  const lane: Lane = createLane({
    store,
    runner,
    clock,
    random,
    ...(keeping !== undefined && { closing: keeping.closing }),
    tell,
  });
  const stopSweep = startSweep({ store, rests: lane.rests, clock, retentionMs: config.retentionMs, tell });
  const adoption =
    keeping &&
    createAdoption({
      keeping,
      lane,
      store,
      members,
      member,
      mayAdopt,
      clock,
      random,
      tell(event) {
        logged({ kind: "adoption", event });
        if (event.kind === "adopted" && moved !== undefined) moved.adopted += 1;
      },
    });
  const desk = createLaneDesk({ ...deskParts, store, lane });
  return {
    desk,
    kept: desk.kept,
    store,
    trouble: () => trouble()?.message,
    start: () => adoption?.start(),
    async stop() {
      adoption?.stop();
      stopSweep();
      await lane.stop();
      store.close();
    },
  };
}
