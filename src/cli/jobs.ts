// `tierline jobs list | get | cancel | retry`: the async work of one host from a shell.

import type { z } from "zod";
import { jobStatuses } from "../jobs/job.ts";
import { askAndPrint } from "./ask-router.ts";
import type { Command, Given, Io } from "./command.ts";
import { exit, jsonOption, queryOf } from "./command.ts";
import { jobAnswer, jobsAnswer, jobsTable, jobText, retried } from "./job-answers.ts";
import { routerOptions } from "./router.ts";
import { plainText } from "./table.ts";

export const jobsList: Command = {
  name: "jobs list",
  about: "List this host's jobs, those of all callers, the newest first",
  options: {
    status: { value: "STATUS", about: `only those: ${jobStatuses.join(", ")}` },
    caller: { value: "NAME", about: "only those of the caller with this key name" },
    limit: { value: "N", about: "jobs at most, up to 100; else 20" },
    after: { value: "ID", about: "go on behind this one" },
    ...routerOptions,
    json: jsonOption,
  },
  example: "jobs list --status failed",
  async run(given, io) {
    const query = queryOf(given, { status: "status", caller: "owner", limit: "limit", after: "after" });
    const question = { method: "GET" as const, path: `/api/jobs?${query}`, answer: jobsAnswer };
    return askAndPrint(given, io, question, jobsTable(io.clock.wallMs()));
  },
};

/** What outlives the host is written down in S3 before the router answers. */
const s3LimitMs = 20_000;

/** A command about one job, which is its argument. */
const aboutOne = <Answer>(
  name: "get" | "cancel" | "retry",
  about: string,
  answer: z.ZodType<Answer>,
  text: (answer: Answer) => string,
): Command => ({
  name: `jobs ${name}`,
  about,
  argument: "ID",
  options: { ...routerOptions, json: jsonOption },
  example: `jobs ${name} job_gold-1_01JD0CV3QX8N4Z7B2M6R9T5KWE`,
  run: (given, io) => {
    const id = idIn(given, io, name);
    if (id === undefined) return Promise.resolve(exit.usage);
    const path = `/api/jobs/${encodeURIComponent(id)}`;
    const question =
      name === "get"
        ? ({ method: "GET", path, answer } as const)
        : ({ method: "POST", path: `${path}/${name}`, answer, limitMs: s3LimitMs } as const);
    return askAndPrint(given, io, question, text);
  },
});

function idIn({ argument }: Given, { err }: Io, name: string): string | undefined {
  if (argument === undefined) {
    err(`tierline jobs ${name}: say which: tierline jobs ${name} ID. tierline jobs list names them.\n`);
  }
  return argument;
}

export const jobsGet = aboutOne(
  "get",
  "Show one job with all that is known of it, and its result",
  jobAnswer,
  jobText,
);

export const jobsCancel = aboutOne(
  "cancel",
  "Cancel a job that has not ended",
  jobAnswer,
  ({ id }) => `${plainText(id)} is cancelled.\n`,
);

export const jobsRetry = aboutOne(
  "retry",
  "Order the work of a job that failed, expired or was cancelled once more, as a new job of its caller",
  retried,
  ({ id, retry_of: before }) => `${plainText(before)} is done anew as ${plainText(id)}.\n`,
);
