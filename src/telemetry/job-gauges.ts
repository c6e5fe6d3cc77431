// Figures about the async lane, read when somebody asks for the metrics, and how long jobs took, counted as they end.

import { observe } from "../base/histogram.ts";
import type { Registry } from "./registry.ts";

export interface JobsSource {
  byStatus(): Readonly<Record<string, number>> & { readonly queued: number };
  oldestSeconds(): number;
  storeAvailable(): boolean;
  /** Since the start. Undefined: it cannot happen with this configuration, and there is no such series. */
  counts(): {
    readonly recovered: number;
    readonly refusals: number;
    readonly yields?: number | undefined;
    readonly adopted?: number | undefined;
    readonly lost?: number | undefined;
  };
}

interface Row {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  read(jobs: JobsSource): number | undefined;
}

const rows: readonly Row[] = [
  {
    name: "tierline_jobs_backlog",
    help: "Jobs that wait to be handed over. What to scale by where they are done on this fleet.",
    type: "gauge",
    read: (jobs) => jobs.byStatus().queued,
  },
  {
    name: "tierline_jobs_oldest_seconds",
    help: "Since the oldest job that has not ended was accepted; 0 where there is none.",
    type: "gauge",
    read: (jobs) => jobs.oldestSeconds(),
  },
  {
    name: "tierline_jobs_store_available",
    help: "Whether the job file takes new jobs and the ends of those in it: 1, or 0 while it refuses.",
    type: "gauge",
    read: (jobs) => (jobs.storeAvailable() ? 1 : 0),
  },
  {
    name: "tierline_jobs_recovered_total",
    help: "Jobs that were being handed over when the router crashed, and were taken up again.",
    type: "counter",
    read: (jobs) => jobs.counts().recovered,
  },
  {
    name: "tierline_jobs_refusals_total",
    help: "Times that whoever does the jobs was not to be had, and the job was put off.",
    type: "counter",
    read: (jobs) => jobs.counts().refusals,
  },
  {
    name: "tierline_jobs_yields_total",
    help: "Times that a job on this fleet gave its slot back to a request.",
    type: "counter",
    read: (jobs) => jobs.counts().yields,
  },
  {
    name: "tierline_jobs_adopted_total",
    help: "Jobs taken over from hosts that were lost.",
    type: "counter",
    read: (jobs) => jobs.counts().adopted,
  },
  {
    name: "tierline_jobs_lost_total",
    help: "Jobs that another host has taken over from this one.",
    type: "counter",
    read: (jobs) => jobs.counts().lost,
  },
];

/** From what an idle engine does at once to the longest ttl, six hours. */
const secondsBounds: readonly number[] = [
  0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 21_600,
];

export interface JobEnds {
  /** `status`: as callers read it. `seconds`: from acceptance to the end. */
  ended(status: string, seconds: number): void;
}

export function registerJobGauges(registry: Registry, jobs: JobsSource): JobEnds {
  registry.gauge("tierline_jobs", "Jobs in the job file.", ["status"], (set) => {
    for (const [status, count] of Object.entries(jobs.byStatus())) set(count, status);
  });
  for (const row of rows) {
    const collect = (set: (value: number) => void): void => {
      const value = row.read(jobs);
      if (value !== undefined) set(value);
    };
    registry.gauge(row.name, row.help, [], collect, row.type);
  }
  const durations = registry.histogram(
    "tierline_job_duration_seconds",
    "From a job's acceptance to its end.",
    ["status"],
    secondsBounds,
  );
  return {
    ended: (status, seconds) => observe(durations.with(status), seconds),
  };
}
