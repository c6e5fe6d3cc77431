// What the metrics say of the async lane, and of how long jobs took.

import { expect, test } from "bun:test";
import { registerJobGauges } from "../../src/telemetry/job-gauges.ts";
import { createRegistry } from "../../src/telemetry/registry.ts";

const figures = { byStatus: () => ({ queued: 3, running: 2, failed: 1 }), oldestSeconds: () => 61 };

function exposed(counts: Parameters<typeof registerJobGauges>[1]["counts"], available = true) {
  const registry = createRegistry();
  const ends = registerJobGauges(registry, { ...figures, counts, storeAvailable: () => available });
  return { ends, lines: () => registry.expose().split("\n") };
}

test("jobs are told apart by status; backlog, age, store and every count are there", () => {
  const { lines } = exposed(() => ({ recovered: 1, refusals: 2, yields: 3, adopted: 4, lost: 5 }));
  expect(
    lines().filter((line) => line !== "" && !line.startsWith("#") && !line.includes("duration")),
  ).toEqual([
    'tierline_jobs{status="queued"} 3',
    'tierline_jobs{status="running"} 2',
    'tierline_jobs{status="failed"} 1',
    "tierline_jobs_backlog 3",
    "tierline_jobs_oldest_seconds 61",
    "tierline_jobs_store_available 1",
    "tierline_jobs_recovered_total 1",
    "tierline_jobs_refusals_total 2",
    "tierline_jobs_yields_total 3",
    "tierline_jobs_adopted_total 4",
    "tierline_jobs_lost_total 5",
  ]);
  expect(lines()).toContain("# TYPE tierline_jobs_recovered_total counter");
  expect(lines()).toContain("# TYPE tierline_jobs_backlog gauge");
});

test("what cannot happen with a configuration has no series, and a store that refuses is 0", () => {
  const { lines } = exposed(() => ({ recovered: 0, refusals: 0 }), false);
  expect(lines().filter((line) => /^tierline_jobs_(yields|adopted|lost)/.test(line))).toEqual([]);
  expect(lines()).toContain("tierline_jobs_store_available 0");
});

test("the time from acceptance to the end is counted by status, up to the longest ttl", () => {
  const { ends, lines } = exposed(() => ({ recovered: 0, refusals: 0 }));
  ends.ended("succeeded", 4);
  ends.ended("succeeded", 20_000);
  ends.ended("expired", 3600);
  for (const line of [
    'tierline_job_duration_seconds_bucket{status="succeeded",le="2.5"} 0',
    'tierline_job_duration_seconds_bucket{status="succeeded",le="5"} 1',
    'tierline_job_duration_seconds_bucket{status="succeeded",le="21600"} 2',
    'tierline_job_duration_seconds_sum{status="succeeded"} 20004',
    'tierline_job_duration_seconds_count{status="expired"} 1',
  ]) {
    expect(lines()).toContain(line);
  }
});
