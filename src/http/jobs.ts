// /v1/jobs: asynchronous work in its own words. What a job is and what becomes of it is the desk's.

import type { Hono } from "hono";
import { Departure } from "../base/departure.ts";
import type { ErrorCode } from "../base/error-codes.ts";
import { isRecord } from "../base/is-record.ts";
import { reuseOf } from "../dispatch/reuse.ts";
import type { FoundJob, JobDesk, JobOrder, Ordered } from "../jobs/desk.ts";
import { deskRule } from "../jobs/desk.ts";
import type { JobKind } from "../jobs/job.ts";
import { jobStatuses } from "../jobs/job.ts";
import { readJobId } from "../jobs/job-id.ts";
import { isAbsent } from "../routing/models.ts";
import { resolveAsked } from "../routing/sla.ts";
import type { Admitted } from "./arrival.ts";
import { readBody, readObject } from "./body.ts";
import { closed } from "./closed.ts";
import type { Door } from "./door.ts";
import type { BadRequest } from "./errors.ts";
import { errorResponse } from "./errors.ts";
import { ownedBy } from "./in-lane.ts";
import { jobPath, jobResponse, jobText, shownJob } from "./job-shape.ts";
import type { Answer, Route } from "./listen.ts";
import { absentModel } from "./models.ts";
import { readCacheControl, readIdempotencyKey } from "./request-headers.ts";

const jobsRule = {
  /** Proxies on the way cut what says nothing for longer; who waits on asks again. */
  waitMsMost: 120_000,
  /** Between the end of the longest wait and Bun's own limit. */
  idleSeconds: 150,
  pageUsual: 20,
  pageMost: 100,
} as const;

export const jobsPath = "/v1/jobs";

type JobsDoor = Door & { readonly desk: JobDesk };
type JobsApp = Hono<{ Variables: { admitted: Admitted } }>;

export function addJobs(
  app: JobsApp,
  door: JobsDoor,
  allowOnly: (app: JobsApp, path: string, methods: string) => void,
): void {
  const { desk } = door;
  app.post(jobsPath, (context) => order(context.req.raw, context.get("admitted").caller, door));
  app.get(jobsPath, (context) =>
    list(new URL(context.req.url).searchParams, context.get("admitted").caller, door),
  );
  app.get(`${jobsPath}/:id`, (context) => {
    const { caller } = context.get("admitted");
    return get(context.req.param("id"), context.req.query("wait"), context.req.raw.signal, caller, door);
  });
  app.post(`${jobsPath}/:id/cancel`, (context) =>
    found(desk.cancel(context.req.param("id"), context.get("admitted").caller)),
  );
  allowOnly(app, jobsPath, "GET, HEAD, POST");
  allowOnly(app, `${jobsPath}/:id`, "GET, HEAD");
  allowOnly(app, `${jobsPath}/:id/cancel`, "POST");
}

/** For the way to a job: a wait is longer than Bun lets a GET be silent. */
export const patiently =
  (answer: Answer): Route =>
  async (request, server) => {
    server.timeout(request, jobsRule.idleSeconds);
    return answer(request);
  };

async function order(raw: Request, caller: string | undefined, door: JobsDoor): Promise<Response> {
  const { account, lifecycle, desk } = door;
  // Another host can take it, and live to do it.
  if (lifecycle.phase !== "ready") {
    account.rejected(lifecycle.phase);
    return closed(lifecycle.phase);
  }
  const cut = new Departure();
  const end = lifecycle.begin(() => cut.abort());
  try {
    const wanted = await readOrder(raw, caller, door);
    if ("code" in wanted) {
      account.rejected(wanted.code);
      return errorResponse(wanted.code, wanted.message, wanted);
    }
    if (cut.aborted) return closed("draining");
    return ordered(await desk.order(wanted));
  } finally {
    end();
  }
}

function ordered(told: Ordered): Response {
  if (told.kind === "refused") return refused(told.code, told.message, told.retryAfterMs);
  if (told.kind === "elsewhere") return elsewhere(told.id, told.member);
  return jobResponse(told, told.kind === "kept" ? { "x-tierline-cache": "hit" } : {});
}

async function readOrder(
  raw: Request,
  caller: string | undefined,
  door: JobsDoor,
): Promise<JobOrder | (BadRequest & { readonly headers?: Readonly<Record<string, string>> })> {
  const idempotencyKey = readIdempotencyKey(raw.headers.get("idempotency-key"));
  if (typeof idempotencyKey === "object") return idempotencyKey;
  const bytes = await readBody(raw, door.settings().bodyLimitBytes, door.clock, Number.POSITIVE_INFINITY);
  if ("code" in bytes) return { ...bytes, headers: { connection: "close" } };
  const body = readObject(bytes);
  if ("code" in body) return body;
  const { request, kind = "chat", ttl_seconds: ttlSeconds = deskRule.ttlMsUsual / 1000 } = body.object;
  if (!isRecord(request)) return wrong("request", "the body of a chat completion or a completion, an object");
  if (!isKind(kind)) return wrong("kind", '"chat" or "completion"');
  const secondsMost = deskRule.ttlMsMost / 1000;
  if (typeof ttlSeconds !== "number" || !(ttlSeconds >= 1) || ttlSeconds > secondsMost) {
    return wrong("ttl_seconds", `a number from 1 to ${secondsMost}`);
  }
  const { model: name } = request;
  if (name !== undefined && typeof name !== "string") return wrong("request.model", "a string");
  const model = modelOf(name, door);
  if (typeof model === "object") return model;
  const text = JSON.stringify(request);
  return {
    caller,
    kind,
    model,
    modelName: name,
    request: Buffer.from(text),
    ttlMs: Math.round(ttlSeconds * 1000),
    idempotencyKey,
    reuse: reuseOf({
      sla: "async",
      stream: false,
      bodyBytes: text.length,
      cacheControl: readCacheControl(raw.headers.get("cache-control")),
      parsed: request,
    }),
  };
}

/** The one model that will do; undefined: whatever the lane has. */
function modelOf(name: string | undefined, door: JobsDoor): string | undefined | BadRequest {
  const { model } = resolveAsked(door.settings().policy, "async", name === "" ? undefined : name);
  const { desk, fleet } = door;
  if (model === undefined) return undefined;
  if (desk.models === undefined) return isAbsent(fleet, model) ? absentModel(model, door) : model;
  if (desk.takes(model)) return model;
  const served = desk.models.length === 0 ? "none by name; leave `model` out" : desk.models.join(", ");
  return {
    code: "model_not_found",
    message: `No job can be done with the model ${JSON.stringify(model.slice(0, 200))}. Models for jobs: ${served}.`,
    param: "request.model",
  };
}

const isKind = (value: unknown): value is JobKind => value === "chat" || value === "completion";

async function get(
  id: string,
  wait: string | undefined,
  left: AbortSignal,
  caller: string | undefined,
  { desk, lifecycle }: JobsDoor,
): Promise<Response> {
  if (wait === undefined) return found(desk.get(id, caller));
  if (!/^\d{1,9}(\.\d{1,9})?$/.test(wait)) {
    return bad(wrong("wait", "a number of seconds, such as 30"));
  }
  const leaving = new Departure();
  const leave = (): void => leaving.abort();
  left.addEventListener("abort", leave);
  if (left.aborted) leave();
  // A drain that is over in earnest ends the wait, and the caller is told how things stand.
  const end = lifecycle.begin(leave);
  try {
    return found(await desk.wait(id, caller, Math.min(Number(wait) * 1000, jobsRule.waitMsMost), leaving));
  } finally {
    left.removeEventListener("abort", leave);
    end();
  }
}

function found(told: FoundJob): Response {
  if (told.kind === "refused") return refused(told.code, told.message, told.retryAfterMs);
  if (told.kind === "elsewhere") return elsewhere(told.id, told.member);
  return new Response(jobText(told), { headers: { "content-type": "application/json" } });
}

/** This host's jobs. What it does not say of itself it could only guess of others. */
function list(query: URLSearchParams, caller: string | undefined, { desk }: JobsDoor): Response {
  const statusText = query.get("status");
  const status = jobStatuses.find((each) => each === statusText);
  if (statusText !== null && status === undefined) {
    return bad(wrong("status", `one of ${jobStatuses.join(", ")}`));
  }
  const limitText = query.get("limit") ?? String(jobsRule.pageUsual);
  const limit = /^\d{1,4}$/.test(limitText) ? Number(limitText) : 0;
  if (limit < 1 || limit > jobsRule.pageMost) {
    return bad(wrong("limit", `a whole number from 1 to ${jobsRule.pageMost}`));
  }
  const after = query.get("after") ?? undefined;
  if (after !== undefined && readJobId(after) === undefined) return bad(wrong("after", "the id of a job"));
  const listed = desk.list(caller, {
    limit,
    ...(status !== undefined && { status }),
    ...(after !== undefined && { after }),
  });
  if (listed.kind === "refused") return refused(listed.code, listed.message, listed.retryAfterMs);
  return Response.json({
    object: "list",
    data: listed.jobs.map(shownJob),
    has_more: listed.hasMore,
    durable_on: durable[desk.durability],
  });
}

/** In words, for this is what an operator must know before the first loss of a disk. */
const durable: Readonly<Record<JobDesk["durability"], string>> = {
  host: "this host's disk: its jobs are lost with it; set tier.bronze.manifests to have them survive it",
  fleet: "this host's disk and S3: another host finishes its jobs should it be lost",
};

const wrong = (param: string, needed: string): BadRequest => ({
  code: "invalid_request",
  message: `\`${param}\` must be ${needed}.`,
  param,
});

const bad = (refusal: BadRequest): Response => errorResponse(refusal.code, refusal.message, refusal);

const refused = (code: ErrorCode, message: string, retryAfterMs: number | undefined): Response =>
  errorResponse(code, message, { retryAfterMs });

const elsewhere = (id: string, member: string): Response =>
  errorResponse("job_owner_unreachable", ownedBy(member), { headers: { location: jobPath(id) } });
