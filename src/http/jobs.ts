// /v1/jobs: asynchronous work in its own words. What a job is and what becomes of it is the desk's; what another router
// has is job-elsewhere.ts's.

import type { Hono } from "hono";
import type { Leaving } from "../base/departure.ts";
import { Departure, whenLeft } from "../base/departure.ts";
import { isRecord } from "../base/is-record.ts";
import { reuseOf } from "../dispatch/reuse.ts";
import type { Elsewhere, FoundJob, JobOrder } from "../jobs/desk.ts";
import { deskRule } from "../jobs/desk.ts";
import type { DeskRefusal } from "../jobs/desk-refusal.ts";
import { isJobKind } from "../jobs/job.ts";
import { valueIn } from "../jobs/json-members.ts";
import { isAbsent } from "../routing/models.ts";
import { resolveAsked } from "../routing/sla.ts";
import type { Admitted } from "./arrival.ts";
import { readBody, readObject } from "./body.ts";
import { forbids } from "./callers.ts";
import { closed } from "./closed.ts";
import type { Door } from "./door.ts";
import type { BadRequest } from "./errors.ts";
import { errorResponse } from "./errors.ts";
import {
  askAround,
  orderAround,
  orderedResponse,
  ownerUnreachable,
  reachedResponse,
  refusedElsewhere,
} from "./job-elsewhere.ts";
import { listJobs, readJobsQuery } from "./job-list.ts";
import { jobResponse, jobsPath, jobText, mustBe } from "./job-shape.ts";
import { waitFor } from "./job-wait.ts";
import type { Answer, Route } from "./listen.ts";
import { absentModel } from "./models.ts";
import { readCacheControl, readIdempotencyKey } from "./request-headers.ts";
import { queryOf } from "./target.ts";

const jobsRule = {
  /** Proxies on the way cut what says nothing for longer; who waits on asks again. */
  waitMsMost: 120_000,
  /** Between the end of the longest wait and Bun's own limit. */
  idleSeconds: 150,
} as const;

type JobsApp = Hono<{ Variables: { admitted: Admitted } }>;

export function addJobs(
  app: JobsApp,
  door: Door,
  allowOnly: (app: JobsApp, path: string, methods: string) => void,
): void {
  app.post(jobsPath, (context) => order(context.req.raw, context.get("admitted"), door));
  app.get(jobsPath, (context) => list(context.req.raw, context.get("admitted"), door));
  app.get(`${jobsPath}/:id`, (context) => {
    const { id } = context.req.param();
    return get(id, context.req.query("wait"), context.req.raw, context.get("admitted"), door);
  });
  app.post(`${jobsPath}/:id/cancel`, (context) =>
    cancel(context.req.param("id"), context.req.raw, context.get("admitted"), door),
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

async function order(raw: Request, admitted: Admitted, door: Door): Promise<Response> {
  const { account, lifecycle, desk } = door;
  const forbidden = forbids(admitted.key, "async");
  if (forbidden !== undefined) {
    account.rejected(forbidden.code);
    return bad(forbidden);
  }
  // Another host can take it, and live to do it.
  if (lifecycle.phase !== "ready") {
    account.rejected(lifecycle.phase);
    return closed(lifecycle.phase);
  }
  return whileHere(raw, door, async (leaving, isCut) => {
    const wanted = await readOrder(raw, admitted.caller, door);
    if ("code" in wanted) {
      account.rejected(wanted.code);
      return errorResponse(wanted.code, wanted.message, wanted);
    }
    if (isCut()) return closed("draining");
    const told = await desk.order(wanted);
    if (told.kind === "refused") return refused(told);
    if (told.kind === "elsewhere") {
      if (admitted.fromMember !== undefined) return notSentOn(told, door);
      return orderedResponse(await orderAround(told, wanted, { callerLeft: leaving }, door), told.id);
    }
    return jobResponse(told, told.kind === "known-result" ? { "x-tierline-cache": "hit" } : {});
  });
}

async function readOrder(
  raw: Request,
  caller: string | undefined,
  door: Door,
): Promise<JobOrder | (BadRequest & { readonly headers?: Readonly<Record<string, string>> })> {
  const idempotencyKey = readIdempotencyKey(raw.headers.get("idempotency-key"));
  if (typeof idempotencyKey === "object") return idempotencyKey;
  const bytes = await readBody(raw, door.settings().bodyLimitBytes, door.clock, Number.POSITIVE_INFINITY);
  if ("code" in bytes) return { ...bytes, headers: { connection: "close" } };
  const body = readObject(bytes);
  if ("code" in body) return body;
  const { request, kind = "chat", ttl_seconds: ttlSeconds = deskRule.ttlMsUsual / 1000 } = body.object;
  const own = valueIn(bytes, "request");
  if (!isRecord(request) || own === undefined)
    return mustBe("request", "the body of a chat completion or a completion, an object");
  if (!isJobKind(kind)) return mustBe("kind", '"chat" or "completion"');
  const secondsMost = deskRule.ttlMsMost / 1000;
  if (typeof ttlSeconds !== "number" || !(ttlSeconds >= 1) || ttlSeconds > secondsMost) {
    return mustBe("ttl_seconds", `a number from 1 to ${secondsMost}`);
  }
  const { model: name } = request;
  if (name !== undefined && typeof name !== "string") return mustBe("request.model", "a string");
  const model = modelOf(name, door);
  if (typeof model === "object") return model;
  return {
    caller,
    kind,
    model,
    modelName: name,
    // The caller's own bytes: a seed of 64 bits is another number once it has been parsed.
    request: own,
    ttlMs: Math.round(ttlSeconds * 1000),
    idempotencyKey,
    reuse: reuseOf({
      sla: "async",
      stream: false,
      body: own,
      cacheControl: readCacheControl(raw.headers.get("cache-control")),
      parsed: request,
    }),
  };
}

/** The one model that will do; undefined: whatever the lane has. */
function modelOf(name: string | undefined, door: Door): string | undefined | BadRequest {
  const { model } = resolveAsked(door.settings().policy, "async", name === "" ? undefined : name);
  const { desk, fleet } = door;
  if (model === undefined) return undefined;
  if (desk.models === undefined) return isAbsent(fleet, model) ? absentModel(model, door) : model;
  if (desk.takes(model)) return model;
  return {
    code: "model_not_found",
    message: `No job can be done with the model ${JSON.stringify(model.slice(0, 200))}. Models for jobs: ${desk.models.join(", ")}.`,
    param: "request.model",
  };
}

async function get(
  id: string,
  wait: string | undefined,
  raw: Request,
  { caller, fromMember }: Admitted,
  door: Door,
): Promise<Response> {
  if (wait !== undefined && !/^\d{1,9}(\.\d{1,9})?$/.test(wait)) {
    return bad(mustBe("wait", "a number of seconds, such as 30"));
  }
  const waitMs = Math.min(Number(wait ?? 0) * 1000, jobsRule.waitMsMost);
  const ask = { id, caller, waitMs, fromMember: fromMember !== undefined };
  return whileHere(raw, door, async (callerLeft) => {
    const waited = await waitFor(ask, callerLeft, door);
    if (waited.from === "around") return reachedResponse(waited.reached, id);
    return waited.told.kind === "elsewhere" ? notSentOn(waited.told, door) : found(waited.told);
  });
}

async function cancel(
  id: string,
  raw: Request,
  { caller, fromMember }: Admitted,
  door: Door,
): Promise<Response> {
  return whileHere(raw, door, async (callerLeft) => {
    const here = await door.desk.cancel(id, caller);
    if (here.kind !== "elsewhere") return found(here);
    if (fromMember !== undefined) return notSentOn(here, door);
    return reachedResponse(
      await askAround(here, { what: "cancel", caller, waitMs: 0, callerLeft }, door),
      id,
    );
  });
}

async function list(raw: Request, { caller, fromMember }: Admitted, door: Door): Promise<Response> {
  const wanted = readJobsQuery(queryOf(raw));
  if ("code" in wanted) return bad(wanted);
  const { desk, askMember } = door;
  return whileHere(raw, door, async (callerLeft) => {
    // Who asks for another router asks all of them.
    const asking = fromMember === undefined && askMember !== undefined ? { desk, askMember } : { desk };
    const listed = await listJobs(wanted, caller, callerLeft, asking);
    return listed.kind === "refused" ? refused(listed) : Response.json(listed.body);
  });
}

/** `leaving`: the caller goes, or the host has to. */
async function whileHere(
  raw: Request,
  { lifecycle }: Door,
  act: (leaving: Leaving, isCut: () => boolean) => Promise<Response>,
): Promise<Response> {
  const leaving = new Departure();
  let cut = false;
  const leave = (): void => leaving.abort();
  const forget = whenLeft(raw.signal, leave);
  const end = lifecycle.begin(() => {
    cut = true;
    leave();
  });
  try {
    return await act(leaving, () => cut);
  } finally {
    forget();
    end();
  }
}

function found(told: Exclude<FoundJob, Elsewhere>): Response {
  if (told.kind === "refused") return refused(told);
  return new Response(jobText(told), { headers: { "content-type": "application/json" } });
}

const bad = (refusal: BadRequest): Response => errorResponse(refusal.code, refusal.message, refusal);

const refused = ({ code, message, retryAfterMs }: DeskRefusal): Response =>
  errorResponse(code, message, { retryAfterMs });

const notSentOn = ({ id, member }: Elsewhere, door: Door): Response =>
  refusedElsewhere(ownerUnreachable(member, "this host was asked for another, and asks no third", door), id);
