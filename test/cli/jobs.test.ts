// `tierline jobs …` before scripted routers: what it asks, what it prints, how it exits.

import { describe, expect, test } from "bun:test";
import { virtualClock } from "../support/virtual-clock.ts";
import { fakeRouters } from "./fake-router.ts";
import { tierline } from "./fake-terminal.ts";

const listener = fakeRouters();
const id = "job_gold-1_01JD0CV3QX8N4Z7B2M6R9T5KWE";
const other = "job_gold-1_01JD0CV3QX8N4Z7B2M6R9T5KWD";

/** 2026-01-01T00:00:00Z. */
const at = 1_767_225_600;
const job = {
  id,
  object: "job",
  kind: "chat",
  model: "story-70b",
  status: "running",
  created_at: at,
  expires_at: at + 3600,
  owner: "lobby",
  state: "submitted",
  attempt: 1,
  recoveries: 0,
  inference_id: "01JD-1",
  output_key: "jobs/x.out",
  took_ms: null,
};
const error = { code: "upstream_failed", message: "It broke." };
const failed = {
  ...job,
  id: other,
  owner: null,
  status: "failed",
  state: "failed",
  ended_at: at + 90,
  took_ms: 90_000,
  error,
};

describe("jobs list", () => {
  test("prints a line for each job, and how to go on", async () => {
    const clock = virtualClock();
    clock.stepWallMs(at * 1000 + 300_000 - clock.wallMs());
    const { url, seen } = listener({ body: { data: [job, failed], has_more: true } });
    expect(await tierline(["jobs", "list", "--admin", url], { clock })).toEqual({
      exit: 0,
      err: "",
      out: `id                                      status  caller      model   accepted    took  attempts  why
${id}  running   lobby  story-70b  5 min ago       -         1
${other}   failed       -  story-70b  5 min ago  90.0 s         1  upstream_failed: It broke.
More behind this: --after ${other}
`,
    });
    expect(seen[0]).toMatchObject({ method: "GET", path: "/api/jobs" });
  });

  test("asks for what its options name", async () => {
    const { url, seen } = listener({ body: { data: [], has_more: false } });
    const args = ["--status", "failed", "--caller", "a b", "--limit", "5", "--after", other];
    expect(await tierline(["jobs", "list", ...args, "--admin", url])).toEqual({
      exit: 0,
      out: "No jobs.\n",
      err: "",
    });
    expect(seen[0]?.path).toBe(`/api/jobs?status=failed&owner=a+b&limit=5&after=${other}`);
  });

  test("--json hands on what the router said", async () => {
    const body = { data: [{ ...job, more: 1 }], has_more: false };
    const { url } = listener({ body });
    const { out } = await tierline(["jobs", "list", "--json", "--admin", url]);
    expect(JSON.parse(out)).toEqual(body);
  });

  test("exits 64 with the router's own words where there is no async lane", async () => {
    const detail = "No async lane is configured here: there is no runner in [tier.bronze].";
    const { url } = listener({ status: 404, body: { title: "No async lane", detail } });
    expect(await tierline(["jobs", "list", "--admin", url])).toEqual({
      exit: 64,
      out: "",
      err: `The router at ${url} refused (404): No async lane: ${detail}\n`,
    });
  });
});

describe("jobs get", () => {
  test("prints all that is known of a job, and its result", async () => {
    const done = {
      ...job,
      status: "succeeded",
      state: "done",
      ended_at: at + 61,
      took_ms: 61_234,
      result: { choices: ["Hm."] },
    };
    const { url, seen } = listener({ body: done });
    expect(await tierline(["jobs", "get", id, "--admin", url])).toEqual({
      exit: 0,
      err: "",
      out: `id          ${id}
status      succeeded (done)
caller      lobby
kind        chat
model       story-70b
accepted    2026-01-01T00:00:00.000Z
expires     2026-01-01T01:00:00.000Z
ended       2026-01-01T00:01:01.000Z
took        61.2 s
attempts    1
recoveries  0
inference   01JD-1
output      jobs/x.out

{
  "choices": [
    "Hm."
  ]
}
`,
    });
    expect(seen[0]).toMatchObject({ method: "GET", path: `/api/jobs/${id}` });
  });

  test("says why there is no result, without what a terminal would obey", async () => {
    const { url } = listener({ body: { ...failed, error: { ...error, message: "\u001b[2JIt broke." } } });
    const { out } = await tierline(["jobs", "get", other, "--admin", url]);
    expect(out).toContain("why         upstream_failed: ?[2JIt broke.\n");
  });
});

describe("jobs cancel and retry", () => {
  test("post to the job and say what has become of it", async () => {
    const { url, seen } = listener({ body: job }, { body: { ...job, id: other, retry_of: id } });
    const cancelled = await tierline(["jobs", "cancel", id, "--admin", url]);
    const anew = await tierline(["jobs", "retry", id, "--admin", url]);
    expect([cancelled.out, anew.out]).toEqual([`${id} is cancelled.\n`, `${id} is done anew as ${other}.\n`]);
    expect(seen).toMatchObject([
      { method: "POST", path: `/api/jobs/${id}/cancel`, type: "application/json" },
      { method: "POST", path: `/api/jobs/${id}/retry`, type: "application/json" },
    ]);
  });

  test("exit 1 where the job is not in the state for it, 64 where there is none", async () => {
    const { url } = listener({ status: 409, body: { title: "Job has ended" } }, { status: 404, body: {} });
    expect(await tierline(["jobs", "cancel", id, "--admin", url])).toMatchObject({ exit: 1 });
    expect(await tierline(["jobs", "retry", id, "--admin", url])).toMatchObject({ exit: 64 });
  });
});

test.each(["get", "cancel", "retry"])(
  "jobs %s without an id asks nobody and says how to find one",
  async (word) => {
    const { url, seen } = listener({ body: job });
    expect(await tierline(["jobs", word, "--admin", url])).toEqual({
      exit: 2,
      out: "",
      err: `tierline jobs ${word}: say which: tierline jobs ${word} ID. tierline jobs list names them.\n`,
    });
    expect(seen).toEqual([]);
  },
);

test("an id is never more than one part of the address", async () => {
  const { url, seen } = listener({ status: 404, body: {} });
  await tierline(["jobs", "get", "../config?x", "--admin", url]);
  expect(seen[0]?.path).toBe("/api/jobs/..%2Fconfig%3Fx");
});
