// What a router answers about its jobs, as `tierline jobs` and `status` check it, and as lines for people.

import { z } from "zod";
import { countText, durationText, plainText, table, wordTable } from "./table.ts";

export const laneAnswer = z.looseObject({
  runner: z.string(),
  queued: z.number(),
  running: z.number(),
  oldest_seconds: z.number(),
  store: z.string(),
  endpoint: z
    .looseObject({ status: z.string(), instances: z.number().optional(), why: z.string().optional() })
    .optional(),
});
export type LaneAnswer = z.output<typeof laneAnswer>;

export const jobAnswer = z.looseObject({
  id: z.string(),
  status: z.string(),
  state: z.string(),
  owner: z.string().nullable(),
  kind: z.string(),
  model: z.string(),
  created_at: z.number(),
  expires_at: z.number(),
  ended_at: z.number().optional(),
  took_ms: z.number().nullable(),
  attempt: z.number(),
  recoveries: z.number(),
  inference_id: z.string().nullable(),
  output_key: z.string(),
  error: z.looseObject({ code: z.string(), message: z.string() }).optional(),
  result: z.unknown().optional(),
});
export type JobAnswer = z.output<typeof jobAnswer>;

export const retried = z.looseObject({ id: z.string(), retry_of: z.string() });

export const jobsAnswer = z.looseObject({
  data: z.array(jobAnswer),
  has_more: z.boolean(),
});

/** `3 queued, 1 running, the oldest for 12.0 s; endpoint InService, 0 instances`. */
export function laneWords({ queued, running, oldest_seconds: oldest, endpoint }: LaneAnswer): string {
  const age = queued + running === 0 ? "" : `, the oldest for ${durationText(oldest * 1000)}`;
  return `${countText(queued)} queued, ${countText(running)} running${age}${endpointWords(endpoint)}`;
}

function endpointWords(endpoint: LaneAnswer["endpoint"]): string {
  if (endpoint === undefined) return "";
  const { status, instances, why } = endpoint;
  const many = instances === undefined ? "" : `, ${instances} ${instances === 1 ? "instance" : "instances"}`;
  return `; endpoint ${plainText(status)}${many}${why === undefined ? "" : `: ${plainText(why)}`}`;
}

/** What keeps the lane from taking jobs, in a line; undefined: nothing. */
export const laneTrouble = ({ store }: LaneAnswer): string | undefined =>
  store === "ok" ? undefined : `! jobs: ${plainText(store)}`;

const reasonOf = ({ code, message }: { readonly code: string; readonly message: string }): string =>
  `${code}: ${message}`;

/** A line for each job, the newest first, and how to go on. */
export function jobsTable(nowMs: number): (page: z.output<typeof jobsAnswer>) => string {
  return ({ data, has_more: hasMore }) => {
    if (data.length === 0) return "No jobs.\n";
    const rows = data.map((job) => [
      plainText(job.id),
      job.status,
      plainText(job.owner ?? "-"),
      plainText(job.model),
      `${durationText(Math.max(0, nowMs - job.created_at * 1000))} ago`,
      job.took_ms === null ? "-" : durationText(job.took_ms),
      String(job.attempt),
    ]);
    const last = data.at(-1);
    const more = hasMore && last !== undefined ? `More behind this: --after ${plainText(last.id)}\n` : "";
    const columns = ["id", "status", "caller", "model", "accepted", "took", "attempts"];
    // Sentences of any length: behind the columns, and not one of them.
    const whys = ["why", ...data.map(({ error }) => (error === undefined ? "" : plainText(reasonOf(error))))];
    const lines = table([columns, ...rows])
      .trimEnd()
      .split("\n");
    return `${lines.map((line, row) => `${line}  ${whys[row]}`.trimEnd()).join("\n")}\n${more}`;
  };
}

/** All of one job, and its result. */
export function jobText(job: JobAnswer): string {
  const rows = [
    ["id", job.id],
    ["status", `${job.status} (${job.state})`],
    ["caller", job.owner ?? "-"],
    ["kind", job.kind],
    ["model", job.model],
    ["accepted", timeText(job.created_at)],
    ["expires", timeText(job.expires_at)],
    ...(job.ended_at === undefined ? [] : [["ended", timeText(job.ended_at)]]),
    ...(job.took_ms === null ? [] : [["took", durationText(job.took_ms)]]),
    ["attempts", String(job.attempt)],
    ["recoveries", String(job.recoveries)],
    ...(job.inference_id === null ? [] : [["inference", job.inference_id]]),
    ["output", job.output_key],
    ...(job.error === undefined ? [] : [["why", reasonOf(job.error)]]),
  ];
  const lines = wordTable(rows.map((cells) => cells.map(plainText)));
  if (job.result !== undefined)
    lines.push("", ...JSON.stringify(job.result, null, 2).split("\n").map(plainText));
  return `${lines.join("\n")}\n`;
}

const timeText = (seconds: number): string => new Date(seconds * 1000).toISOString();
