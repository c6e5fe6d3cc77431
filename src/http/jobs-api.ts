// The jobs of this host in the hands of an operator: all callers' jobs, with what the lane knows of each.

import type { Hono } from "hono";
import { errorCodes } from "../base/error-codes.ts";
import type { Elsewhere, FoundJob } from "../jobs/desk.ts";
import type { Job } from "../jobs/job.ts";
import type { Door } from "./door.ts";
import { readJobsQuery } from "./job-list.ts";
import { jobJson, jobPath, shownJob } from "./job-shape.ts";
import { problem } from "./problem.ts";
import { queryOf } from "./target.ts";

const path = "/api/jobs";

export function addJobsApi(
  app: Hono,
  { lane, cluster, lifecycle, log }: Pick<Door, "lane" | "cluster" | "lifecycle" | "log">,
): void {
  if (lane === undefined) {
    for (const each of [path, `${path}/*`]) app.all(each, noLane);
    return;
  }
  const { operator: desk } = lane;
  const elsewhere = ({ id, member }: Elsewhere): Response =>
    cluster.members().some(({ isSelf, name }) => isSelf && name === member)
      ? problem(
          404,
          "Not here any more",
          `This host does not have it any more; GET ${jobPath(id)} finds it in S3.`,
        )
      : problem(404, "Another host's job", `The job belongs to the host ${member}: ask its admin listener.`);
  const found = (told: FoundJob): Response => (told.kind === "elsewhere" ? elsewhere(told) : shown(told));

  app.get(path, (context) => {
    const query = queryOf(context.req.raw);
    const page = readJobsQuery(query);
    if ("code" in page) return problem(400, "Invalid request", page.message);
    const owner = query.get("owner") ?? undefined;
    const listed = desk.list({ ...page, ...(owner !== undefined && { owner: owner === "" ? null : owner }) });
    if (listed.kind === "refused") return refused(listed);
    return Response.json({
      data: listed.jobs.map((job) => ({ ...shownJob(job), ...operatorFields(job) })),
      has_more: listed.hasMore,
    });
  });
  app.get(`${path}/:id`, (context) => found(desk.get(context.req.param("id"))));
  app.post(`${path}/:id/cancel`, async (context) => {
    const id = context.req.param("id");
    const told = await desk.cancel(id);
    if (told.kind === "found") log.info({ job: id }, "job cancelled: asked by an operator");
    return found(told);
  });
  app.post(`${path}/:id/retry`, async (context) => {
    const id = context.req.param("id");
    const { phase } = lifecycle;
    if (phase !== "ready") return problem(503, "Not ready", `The router is ${phase} and takes no jobs.`);
    const told = await desk.retry(id);
    if (told.kind === "needless") return problem(409, "Nothing to do anew", told.why);
    if (told.kind === "refused") return refused(told);
    if (told.kind === "elsewhere") return elsewhere(told);
    log.info({ job: told.job.id, retry_of: id }, "job ordered anew: asked by an operator");
    const { job } = told;
    return Response.json({ ...shownJob(job), ...operatorFields(job), retry_of: id }, { status: 202 });
  });
}

const noLane = (): Response =>
  problem(404, "No async lane", "No async lane is configured here: there is no runner in [tier.bronze].");

/** What callers do not read. */
const operatorFields = (job: Job) => ({
  owner: job.owner,
  state: job.state,
  attempt: job.attempt,
  recoveries: job.recoveries,
  inference_id: job.inferenceId ?? null,
  output_key: job.outputKey,
  took_ms: job.endedAtMs === undefined ? null : Math.max(0, job.endedAtMs - job.acceptedAtMs),
});

function shown(told: Exclude<FoundJob, Elsewhere>): Response {
  if (told.kind === "refused") return refused(told);
  // The result is spliced in as it is, byte for byte, so the rest is put before it.
  const fields = JSON.stringify(operatorFields(told.job));
  return new Response(`${fields.slice(0, -1)},${jobJson(told).slice(1)}`, {
    headers: { "content-type": "application/json" },
  });
}

const titles = new Map([
  [404, "No such job"],
  [409, "Job has ended"],
]);

function refused({ code, message }: Extract<FoundJob, { kind: "refused" }>): Response {
  const { status } = errorCodes[code];
  return problem(status, titles.get(status) ?? "Not possible now", message);
}
