// GET /v1/jobs: the jobs of a caller in the whole fleet, the newest first. Every router answers for its own; the one that
// is asked puts the pages together.

import type { Leaving } from "../base/departure.ts";
import { isRecord } from "../base/is-record.ts";
import { someAtOnce } from "../base/some-at-once.ts";
import type { JobDesk, JobsWanted } from "../jobs/desk.ts";
import { jobStatuses } from "../jobs/job.ts";
import { newestFirst, readJobId } from "../jobs/job-id.ts";
import { pageMost } from "../jobs/store.ts";
import type { Door, JobCalls } from "./door.ts";
import type { BadRequest } from "./errors.ts";
import { readAnswer } from "./job-elsewhere.ts";
import { jobsPath, mustBe, shownJob } from "./job-shape.ts";

const listRule = {
  pageUsual: 20,
  /** Others asked at one time, and how long each has. */
  asksMost: 16,
  askMs: 2_000,
} as const;

export function readJobsQuery(query: URLSearchParams): JobsWanted | BadRequest {
  const statusText = query.get("status");
  const status = jobStatuses.find((each) => each === statusText);
  if (statusText !== null && status === undefined)
    return mustBe("status", `one of ${jobStatuses.join(", ")}`);
  const limitText = query.get("limit") ?? String(listRule.pageUsual);
  const limit = /^\d{1,4}$/.test(limitText) ? Number(limitText) : 0;
  if (limit < 1 || limit > pageMost) {
    return mustBe("limit", `a whole number from 1 to ${pageMost}`);
  }
  const after = query.get("after") ?? undefined;
  if (after !== undefined && readJobId(after) === undefined) return mustBe("after", "the id of a job");
  return { limit, ...(status !== undefined && { status }), ...(after !== undefined && { after }) };
}

/** A job as it is shown, here or by another router. */
type Row = Readonly<Record<string, unknown>> & { readonly id: string };

interface Page {
  readonly rows: readonly Row[];
  readonly hasMore: boolean;
}

/** The answer to who asked this host: `askMember` undefined: its own jobs, and no others. */
export async function listJobs(
  wanted: JobsWanted,
  caller: string | undefined,
  callerLeft: Leaving,
  { desk, askMember }: Pick<Door, "askMember"> & { readonly desk: Pick<JobDesk, "list" | "durability"> },
) {
  const own = desk.list(caller, wanted);
  if (own.kind === "refused") return own;
  const pages: Page[] = [{ rows: own.jobs.map(shownJob), hasMore: own.hasMore }];
  const unreachable: string[] = [];
  if (askMember !== undefined) {
    await someAtOnce(askMember.others(), listRule.asksMost, async (member) => {
      const page = await pageOf(member, wanted, caller, callerLeft, askMember);
      if (page === undefined) unreachable.push(member);
      else pages.push(page);
    });
  }
  const { rows, hasMore } = merged(pages, wanted.limit);
  return {
    kind: "listed" as const,
    body: {
      object: "list",
      data: rows,
      has_more: hasMore,
      // Whose jobs may be missing; nobody is told that a list is whole when it is not.
      ...(unreachable.length > 0 && { unreachable: unreachable.sort() }),
      ...(desk.durability !== undefined && { durable_on: durable[desk.durability] }),
    },
  };
}

/** Undefined: it has not answered. */
async function pageOf(
  member: string,
  wanted: JobsWanted,
  caller: string | undefined,
  callerLeft: Leaving,
  members: JobCalls,
): Promise<Page | undefined> {
  const query = new URLSearchParams({ ...wanted, limit: String(wanted.limit) });
  const answer = await members.ask({
    member,
    method: "GET",
    path: `${jobsPath}?${query}`,
    caller,
    leftMs: listRule.askMs,
    signal: callerLeft,
  });
  if ("unreachable" in answer) return undefined;
  const read = answer.status === 200 ? readAnswer(answer.body) : undefined;
  const data = read?.["data"];
  if (!Array.isArray(data)) return undefined;
  return { rows: data.filter(isRow), hasMore: read?.["has_more"] === true };
}

const isRow = (value: unknown): value is Row =>
  isRecord(value) && typeof value["id"] === "string" && readJobId(value["id"]) !== undefined;

/** A job that changes hands may be on two pages: how it ended is the newer word. */
function merged(pages: readonly Page[], limit: number): Page {
  const rows = new Map<string, Row>();
  for (const row of pages.flatMap((page) => page.rows)) {
    if (!rows.has(row.id) || row["ended_at"] !== undefined) rows.set(row.id, row);
  }
  const sorted = [...rows.values()].sort(newestFirst);
  // What is not on its page is older than all that is, and all of that is here.
  const hasMore = sorted.length > limit || pages.some((page) => page.hasMore);
  return { rows: sorted.slice(0, limit), hasMore };
}

/** In words, for this is what an operator must know before the first loss of a disk. */
const durable: Readonly<Record<NonNullable<JobDesk["durability"]>, string>> = {
  host: "this host's disk: its jobs are lost with it; set tier.bronze.manifests to have them survive it",
  fleet: "this host's disk and S3: another host finishes its jobs should it be lost",
};
