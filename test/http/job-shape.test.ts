// A job as callers read it.

import { expect, test } from "bun:test";
import { jobText } from "../../src/http/job-shape.ts";
import { newJob } from "../support/job-place.ts";

test("all who are given the same result share one body, and another job's bytes have their own", async () => {
  const job = { ...newJob(1), state: "done", attempt: 1, fence: 1, recoveries: 0 } as const;
  const result = Buffer.from('{"choices":[]}\n');
  const body = jobText({ job, result });
  expect(jobText({ job, result })).toBe(body);
  expect(jobText({ job, result: Buffer.from(result) })).not.toBe(body);
  const text = await new Response(body).text();
  expect(JSON.parse(text)).toMatchObject({ id: job.id, status: "succeeded", result: { choices: [] } });
});
