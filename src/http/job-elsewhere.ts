// A job that another router of the fleet has: that one is asked in the caller's name, and where it cannot be, what S3
// knows of the job answers. A call that came from a router is never sent on.

import { asBuffer } from "../base/as-buffer.ts";
import type { Leaving } from "../base/departure.ts";
import type { ErrorCode } from "../base/error-codes.ts";
import { isErrorCode } from "../base/error-codes.ts";
import { inTime } from "../base/in-time.ts";
import { isRecord } from "../base/is-record.ts";
import { parseJson } from "../base/parse-json.ts";
import type { Elsewhere, JobDesk, JobOrder, SeenJob } from "../jobs/desk.ts";
import type { DeskRefusal } from "../jobs/desk-refusal.ts";
import { alreadyEnded, notFound } from "../jobs/desk-refusal.ts";
import { isEnd } from "../jobs/job.ts";
import { retryAfterMs } from "../routing/admission.ts";
import type { Door, JobCalls, MemberAnswer } from "./door.ts";
import { errorResponse } from "./errors.ts";
import { jobPath, jobResponse, jobsPath, jobText } from "./job-shape.ts";

export const elsewhereRule = {
  /** Of one router, for what it answers at once; a wait comes on top. */
  answerMs: 5_000,
  /** Of all that are asked, one after the other; a wait comes on top. */
  allMs: 12_000,
  /** A job whose host has died begins elsewhere within 30 s: who waits for its end is not told sooner than he must. */
  lookAgainMs: 2_000,
  /** What a caller is told to wait, before jitter. */
  retryAfterMs: 2_000,
} as const;

export interface ElsewhereDoor extends Pick<Door, "clock" | "random"> {
  readonly desk: Pick<JobDesk, "seek">;
  readonly askMember?: JobCalls | undefined;
}

export interface AskedElsewhere {
  readonly what: "get" | "cancel";
  readonly caller: string | undefined;
  /** For the end of the job. */
  readonly waitMs: number;
  /** For everything else; `elsewhereRule.allMs` where that is less. */
  readonly leftMs?: number;
  readonly callerLeft: Leaving;
}

export type Reached =
  /** In that router's words. */
  | { readonly kind: "told"; readonly answer: MemberAnswer }
  | ({ readonly kind: "found" } & SeenJob)
  | DeskRefusal;

/** Asks the member that has the job, and whoever S3 says has it now. */
export async function askAround(
  elsewhere: Elsewhere,
  asked: AskedElsewhere,
  door: ElsewhereDoor,
): Promise<Reached> {
  const { waitMs, leftMs = elsewhereRule.allMs, callerLeft } = asked;
  const limitMs = waitMs + Math.min(leftMs, elsewhereRule.allMs);
  return await inTime(door.clock, limitMs, callerLeft, (signal) => askEach(elsewhere, asked, signal, door));
}

/**
 * An order whose key is known as that of another host's job. That host is asked for the same again, for it may have crashed
 * before it had accepted anything; where it takes nothing now, the job itself is looked for.
 */
export async function orderAround(
  elsewhere: Elsewhere,
  { caller, kind, request, ttlMs, idempotencyKey }: JobOrder,
  { callerLeft, leftMs = elsewhereRule.allMs }: Pick<AskedElsewhere, "callerLeft" | "leftMs">,
  door: ElsewhereDoor,
): Promise<Reached> {
  const { member } = elsewhere;
  const end = door.clock.now() + leftMs;
  const answer = await door.askMember?.ask({
    member,
    method: "POST",
    path: jobsPath,
    caller,
    headers: idempotencyKey === undefined ? [] : [["idempotency-key", idempotencyKey]],
    // As it was read, so that both find it to be the same.
    body: Buffer.concat([
      Buffer.from('{"request":'),
      request,
      Buffer.from(`,"kind":"${kind}","ttl_seconds":${ttlMs / 1000}}`),
    ]),
    leftMs: Math.min(leftMs, elsewhereRule.answerMs),
    signal: callerLeft,
  });
  if (answer !== undefined && !("unreachable" in answer) && answer.status < 500) {
    return { kind: "told", answer };
  }
  const rest = Math.max(0, end - door.clock.now());
  const there = await askAround(
    elsewhere,
    { what: "get", caller, waitMs: 0, leftMs: rest, callerLeft },
    door,
  );
  // Named there and perhaps never accepted: only that host knows, and should it be dead the job is taken up here.
  if (there.kind !== "refused" || there.code !== "job_not_found") return there;
  const isSilent = answer === undefined || "unreachable" in answer;
  return ownerUnreachable(member, isSilent ? "it does not answer" : "it takes no jobs now", door);
}

async function askEach(
  { id, member: first }: Elsewhere,
  { what, caller, waitMs }: AskedElsewhere,
  signal: AbortSignal,
  door: ElsewhereDoor,
): Promise<Reached> {
  const { desk, askMember, clock } = door;
  const waitEnd = clock.now() + waitMs;
  const tried = new Set<string>();
  for (let member = first; ; ) {
    tried.add(member);
    const restMs = Math.max(0, waitEnd - clock.now());
    const wait = restMs > 0 ? `?wait=${(restMs / 1000).toFixed(3)}` : "";
    const answer = await askMember?.ask({
      member,
      ...(what === "cancel"
        ? { method: "POST", path: `${jobPath(id)}/cancel` }
        : { method: "GET", path: `${jobPath(id)}${wait}` }),
      caller,
      leftMs: restMs + elsewhereRule.answerMs,
      signal,
    });
    const said = answer === undefined ? { useless: "this host is in no fleet" } : judged(answer, desk);
    if ("told" in said) return { kind: "told", answer: said.told };
    // Where S3 knows of jobs, it tells.
    const isNobodys = desk.seek === undefined && askMember?.mayExist(member) !== true;
    const gone = isNobodys ? notFound : ownerUnreachable(member, said.useless, door);
    const sought = signal.aborted ? gone : ((await desk.seek?.(id, caller, signal)) ?? gone);
    if (sought.kind !== "elsewhere") {
      if (what === "get" || sought.kind === "refused") return sought;
      // Only who has it can cancel it, and nobody has it until it is adopted.
      return isEnd(sought.job.state) ? alreadyEnded : gone;
    }
    if (tried.has(sought.member)) {
      // Alive, as far as gossip knows, and not to be reached: it has the job, and has not ended it.
      const { job } = sought;
      return what === "get" && job !== undefined ? { kind: "found", job, result: undefined } : gone;
    }
    member = sought.member;
  }
}

/** `useless`: why it is no answer about the job. */
function judged(
  answer: MemberAnswer | { readonly unreachable: string },
  desk: Pick<JobDesk, "seek">,
): { readonly told: MemberAnswer } | { readonly useless: string } {
  if ("unreachable" in answer) return { useless: answer.unreachable };
  const code = answer.status < 400 ? undefined : errorCodeOf(answer);
  if (code === "job_owner_unreachable") return { useless: "it does not have it any more" };
  // S3, where it is asked, knows better than any router.
  const isForgotten = code === "job_not_found" && desk.seek !== undefined;
  return isForgotten ? { useless: "it knows nothing of it" } : { told: answer };
}

/** In the shape of an error of ours. */
function errorCodeOf({ body }: MemberAnswer): string | undefined {
  const read = readAnswer(body);
  const error = read?.["error"];
  const code = isRecord(error) ? error["code"] : undefined;
  return typeof code === "string" ? code : undefined;
}

export function readAnswer(body: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  const read = parseJson(asBuffer(body).toString("utf8"));
  return isRecord(read) ? read : undefined;
}

export const ownerUnreachable = (
  member: string,
  why: string,
  { random }: Pick<Door, "random">,
): DeskRefusal => ({
  kind: "refused",
  code: "job_owner_unreachable",
  message: `The job belongs to the host ${member}, which cannot answer for it now: ${why}. Try again, here or on any other host.`,
  retryAfterMs: retryAfterMs(elsewhereRule.retryAfterMs, random),
});

const passedOn = ["content-type", "location", "retry-after", "retry-after-ms", "x-should-retry"] as const;

function toldResponse(
  { status, headers, body }: MemberAnswer,
  more: Readonly<Record<string, string>> = {},
): Response {
  const kept = passedOn.flatMap((name) => {
    const value = headers.get(name);
    return value === undefined ? [] : [[name, value] as const];
  });
  return new Response(body, { status, headers: { ...Object.fromEntries(kept), ...more } });
}

export function reachedResponse(reached: Reached, id: string): Response {
  if (reached.kind === "told") return toldResponse(reached.answer);
  if (reached.kind === "refused") return refusedElsewhere(reached, id);
  return new Response(jobText(reached), { headers: { "content-type": "application/json" } });
}

export const refusedElsewhere = (
  { code, message, retryAfterMs }: DeskRefusal,
  id: string,
  headers: Readonly<Record<string, string>> = {},
): Response =>
  errorResponse(code, message, {
    retryAfterMs,
    headers: { ...headers, ...(code === "job_owner_unreachable" && { location: jobPath(id) }) },
  });

/** Why it is no job, in a word of ours; undefined: it is one. */
export function refusalIn(reached: Reached): ErrorCode | undefined {
  if (reached.kind === "found") return undefined;
  if (reached.kind === "refused") return reached.code;
  if (reached.answer.status < 400) return undefined;
  const code = errorCodeOf(reached.answer);
  return code !== undefined && isErrorCode(code) ? code : "upstream_failed";
}

/** As the answer to an order: also where the job was only looked at. */
export function orderedResponse(
  reached: Reached,
  id: string,
  headers: Readonly<Record<string, string>> = {},
): Response {
  if (reached.kind === "found") return jobResponse(reached, headers);
  if (reached.kind === "refused") return refusedElsewhere(reached, id, headers);
  if (reached.answer.status !== 200) return toldResponse(reached.answer, headers);
  const { body } = reached.answer;
  const status = readAnswer(body)?.["status"];
  return new Response(body, {
    status: status === "queued" || status === "running" ? 202 : 200,
    headers: { "content-type": "application/json", location: jobPath(id), ...headers },
  });
}
