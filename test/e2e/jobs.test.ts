// /v1/jobs of the compiled binary, between a game and a SageMaker that does what it should.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { errorOf, saidBack, startBronze, tale } from "../support/bronze.ts";
import { chat, messages, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { measured } from "../support/measured.ts";
import { openAiErrorOf } from "../support/openai-error.ts";
import { binary, startTierline } from "../support/tierline.ts";

setDefaultTimeout(30_000);

const ends = cleanup();

/** Nothing that is handed over ever ends. */
const held = { kind: "lost-output" } as const;

describe("an order", () => {
  test("is accepted with 202 and a location, runs, and ends as the container's own answer, byte for byte", async () => {
    const { aws, jobs, router } = await startBronze(ends);
    const body =
      '{ "object": "chat.completion",\n "choices": [{"index":0, "message": {"role":"assistant","content":"Caf\\u00e9 — é"}, "finish_reason":"stop"}], "x": 1.50e0 }';
    aws.fault({ kind: "answer", body });
    const ordered = await jobs.order(tale(), { ttl_seconds: 60 });
    const id = String(ordered.job["id"]);
    expect(ordered.status).toBe(202);
    expect(ordered.headers.get("location")).toBe(`/v1/jobs/${id}`);
    expect(id).toMatch(/^job_gold-1_[0-9A-HJKMNP-TV-Z]{26}$/);
    const { created_at: created, expires_at: expires } = ordered.job;
    expect(ordered.job).toMatchObject({ object: "job", kind: "chat", model: "story-70b", status: "queued" });
    expect([Number(expires) - Number(created), Math.abs(Number(created) - Date.now() / 1000) < 10]).toEqual([
      60,
      true,
    ]);
    const { status, text, job } = await jobs.get(id, 20);
    expect([status, job["status"]]).toEqual([200, "succeeded"]);
    expect(text).toContain(`"result":${body}}`);
    expect((await jobs.get(id)).text).toBe(text);
    expect(await router.metric("tierline_job_duration_seconds_count", { status: "succeeded" })).toBe(1);
  });

  test("reaches the container in the caller's own bytes, but never streams and has a model's name", async () => {
    const { aws, jobs, router } = await startBronze(ends);
    const members = `"seed": 9223372036854775807, "temperature": 1.50,"odd": {"a" : [1,"é\\u00e9, }"]}`;
    const response = await fetch(`${router.url}/v1/jobs`, {
      method: "POST",
      body: `{"kind":"completion", "request" : {"prompt":"Once","stream":true,${members}} ,"ttl_seconds":60}`,
    });
    const { id } = JSON.parse(await response.text());
    expect((await jobs.get(id, 20)).job).toMatchObject({
      kind: "completion",
      status: "succeeded",
      result: { object: "text_completion", choices: [{ text: "You said: Once" }] },
    });
    const [{ body = "", inferenceId = "", customAttributes = "" } = {}] = aws.invocations;
    expect(body).toBe(`{"stream":false,"model":"story-70b","prompt":"Once",${members}}`);
    expect(inferenceId).toBe(`${id.slice(id.lastIndexOf("_") + 1)}-1`);
    expect(customAttributes).toMatch(/^traceparent=00-[0-9a-f]{32}-[0-9a-f]{16}-01,tier=bronze$/);
  });

  test("that makes no sense is refused before anything is stored, and what is wrong is named", async () => {
    const { jobs, router } = await startBronze(ends);
    const request = tale();
    for (const [body, param] of [
      [{ ttl_seconds: 5 }, "request"],
      [{ request: [] }, "request"],
      [{ request, kind: "embedding" }, "kind"],
      [{ request, ttl_seconds: 21_601 }, "ttl_seconds"],
      [{ request, ttl_seconds: 0 }, "ttl_seconds"],
      [{ request: { ...request, model: 7 } }, "request.model"],
    ] as const) {
      const response = await fetch(`${router.url}/v1/jobs`, { method: "POST", body: JSON.stringify(body) });
      const refused = { status: response.status, text: await response.text() };
      expect(errorOf(refused)).toEqual({ status: 400, code: "invalid_request", param });
    }
    expect((await jobs.list()).job["data"]).toEqual([]);
  });

  test("for a model that SageMaker does not have is 404, and the message names the one that it has", async () => {
    const { jobs, aws } = await startBronze(ends);
    const refused = await jobs.order({ ...tale(), model: "nonsense" });
    expect(errorOf(refused)).toEqual({ status: 404, code: "model_not_found", param: "request.model" });
    expect(refused.text).toContain("story-70b");
    expect(aws.invocations).toEqual([]);
  });

  test("of more than 128,000 bytes goes by way of S3 where there is a place, and is 413 where there is none", async () => {
    const long = { ...tale(), filling: "x".repeat(128_000) };
    const without = await startBronze(ends);
    expect(errorOf(await without.jobs.order(long))).toMatchObject({ status: 413, code: "request_too_large" });
    const { aws, jobs } = await startBronze(ends, { bronze: 'input = "s3://bucket/inputs"' });
    const id = await jobs.placed(long);
    expect((await jobs.get(id, 20)).job).toMatchObject({ status: "succeeded" });
    const [{ inputLocation = "", body = "" } = {}] = aws.invocations;
    expect(inputLocation).toStartWith("s3://bucket/inputs/");
    expect(JSON.parse(body)).toMatchObject(long);
    const short = await jobs.get(await jobs.placed(), 20);
    expect([short.job["status"], aws.invocations[1]?.inputLocation]).toEqual(["succeeded", undefined]);
  });

  test("beyond jobs.max_queued is refused with 429, until one has ended", async () => {
    const { aws, jobs } = await startBronze(ends, { config: "[jobs]\nmax_queued = 2\n" });
    aws.fault(held);
    const first = await jobs.placed();
    await jobs.placed();
    const refused = await jobs.order();
    expect(errorOf(refused)).toMatchObject({ status: 429, code: "tier_overloaded" });
    expect(Number(refused.headers.get("retry-after-ms"))).toBeGreaterThan(0);
    await jobs.cancel(first);
    await jobs.placed();
  });
});

describe("a job", () => {
  test("stays `running` while the endpoint sleeps at zero instances, and ends when it has woken (fault 40)", async () => {
    const { jobs, router } = await startBronze(ends, { aws: { instances: 0, scaleUpMs: 2500 } });
    const health = async (): Promise<string> => (await fetch(`${router.url}/health`)).text();
    await until("its endpoint is known", async () => (await health()).includes('"endpoint"'));
    expect(await health()).toContain('"endpoint":{"status":"InService","instances":0}');
    const id = await jobs.placed();
    await until("it is handed over", async () => (await jobs.get(id)).job["status"] === "running");
    const began = performance.now();
    const waited = await jobs.get(id, 1);
    expect([waited.status, waited.job["status"], waited.job["result"]]).toEqual([200, "running", undefined]);
    expect(performance.now() - began).toBeGreaterThan(900);
    const { job } = await jobs.get(id, 20);
    expect(job["status"]).toBe("succeeded");
    measured(40, "`running` and no result at zero instances, 200 to who waits; done when it has woken");
  });

  test("is cancelled at once, its result is never shown, and what has ended cannot be cancelled", async () => {
    const { aws, jobs } = await startBronze(ends);
    aws.fault({ kind: "late-output", delayMs: 700 });
    const id = await jobs.placed();
    await until("it is handed over", async () => (await jobs.get(id)).job["status"] === "running");
    const waiting = jobs.get(id, 20);
    expect(await jobs.cancel(id)).toMatchObject({ status: 200, job: { id, status: "cancelled" } });
    expect((await waiting).job["status"]).toBe("cancelled");
    expect(errorOf(await jobs.cancel(id))).toMatchObject({ status: 409, code: "job_ended" });
    await until("its result is there", () => aws.objects.keys("bucket").length > 0);
    await Bun.sleep(600);
    expect((await jobs.get(id)).job["status"]).toBe("cancelled");
    const none = `${id.slice(0, -1)}${id.endsWith("0") ? "1" : "0"}`;
    expect(errorOf(await jobs.cancel(none))).toMatchObject({ status: 404, code: "job_not_found" });
    expect(errorOf(await jobs.get("nonsense"))).toMatchObject({ status: 404, code: "job_not_found" });
  });

  test("is listed newest first, in pages, by status, with a word on what it survives", async () => {
    const { aws, jobs } = await startBronze(ends);
    const done = await jobs.placed();
    await jobs.get(done, 20);
    aws.fault(held);
    const open: string[] = [];
    for (let n = 0; n < 4; n += 1) open.unshift(await jobs.placed());
    const ids = async (query: string) => {
      const { job } = await jobs.list(query);
      const rows = Array.isArray(job["data"]) ? job["data"] : [];
      return { ids: rows.map(({ id }) => id), more: job["has_more"] };
    };
    expect(await ids("")).toEqual({ ids: [...open, done], more: false });
    expect(await ids("?limit=2")).toEqual({ ids: open.slice(0, 2), more: true });
    expect(await ids(`?limit=3&after=${open[1]}`)).toEqual({ ids: [...open.slice(2), done], more: false });
    expect(await ids("?status=succeeded")).toEqual({ ids: [done], more: false });
    expect((await jobs.list()).job["durable_on"]).toContain("this host's disk");
    for (const query of ["?limit=0", "?limit=101", "?status=done", "?after=x"])
      expect(errorOf(await jobs.list(query))).toMatchObject({ status: 400, code: "invalid_request" });
  });
});

describe("what was asked word for word a moment ago", () => {
  test("is answered with the finished job, unless it is to be asked anew, or the cache was cleared", async () => {
    const { aws, jobs, router } = await startBronze(ends);
    const request = tale();
    const first = await jobs.placed(request);
    await jobs.get(first, 20);
    const hit = await jobs.order(request);
    expect([hit.status, hit.headers.get("x-tierline-cache"), hit.job["id"]]).toEqual([200, "hit", first]);
    expect(hit.job["result"]).toMatchObject({ choices: [{ message: { content: saidBack(request) } }] });
    const fromChat = await chat(router.url, { model: "bronze", ...request });
    expect([fromChat.status, fromChat.headers.get("x-tierline-cache")]).toEqual([200, "hit"]);
    const anew = await jobs.order(request, { headers: { "cache-control": "no-cache" } });
    expect([anew.status, anew.job["id"] === first]).toEqual([202, false]);
    await jobs.get(String(anew.job["id"]), 20);
    const clear = Bun.spawnSync([binary, "cache", "clear", "--cache", "results", "--admin", router.adminUrl]);
    expect([clear.exitCode, clear.stderr.toString()]).toEqual([0, ""]);
    expect((await jobs.order(request)).status).toBe(202);
    expect(aws.invocations.length).toBeGreaterThanOrEqual(2);
  });
});

describe("who asks about the lane", () => {
  test("finds it in /v1/models, /health and /metrics", async () => {
    const { aws, jobs, router } = await startBronze(ends);
    const models = async (path = "") => (await fetch(`${router.url}/v1/models${path}`)).json();
    expect(await models()).toMatchObject({
      data: [
        { id: "story-70b", tier: "bronze", owned_by: "sagemaker" },
        { id: "bronze", tier: "bronze" },
      ],
    });
    expect(await models("/story-70b")).toMatchObject({ id: "story-70b", tier: "bronze" });
    await jobs.get(await jobs.placed(), 20);
    aws.fault(held);
    const id = await jobs.placed();
    await until("it is handed over", async () => (await jobs.get(id)).job["status"] === "running");
    const figures = async () => {
      const statuses = ["queued", "running", "succeeded", "failed", "expired", "cancelled"];
      const counts = statuses.map((status) => router.metric("tierline_jobs", { status }));
      return [...(await Promise.all(counts)), await router.metric("tierline_jobs_backlog")];
    };
    expect(await figures()).toEqual([0, 1, 1, 0, 0, 0, 0]);
    expect(await router.metric("tierline_jobs_store_available")).toBe(1);
    await until(
      "the oldest is a second old",
      async () => (await router.metric("tierline_jobs_oldest_seconds")) >= 1,
    );
    expect(await (await fetch(`${router.url}/health`)).json()).toMatchObject({
      status: "ok",
      jobs: { runner: "sagemaker", queued: 0, running: 1, store: "ok" },
    });
  });

  test("where there is none: an order is 503 and says what to write, there are no jobs, and SLA async is 503", async () => {
    const router = ends(await startTierline());
    const order = await fetch(`${router.url}/v1/jobs`, {
      method: "POST",
      body: JSON.stringify({ request: { messages } }),
    });
    expect(order.status).toBe(503);
    expect(await openAiErrorOf(order)).toMatchObject({
      code: "no_endpoint",
      message: expect.stringContaining("[tier.bronze]"),
    });
    expect(await (await fetch(`${router.url}/v1/jobs`)).json()).toEqual({
      object: "list",
      data: [],
      has_more: false,
    });
    const refused = await chat(router.url, { messages }, { headers: { "x-tierline-sla": "async" } });
    expect([refused.status, (await openAiErrorOf(refused)).code]).toEqual([503, "no_endpoint"]);
    expect(await (await fetch(`${router.url}/health`)).json()).not.toHaveProperty("jobs");
  });
});

describe("the end of the router", () => {
  test("a draining one refuses new jobs with 503, and answers for those that it has", async () => {
    const { aws, jobs, router } = await startBronze(ends);
    aws.fault({ kind: "late-output", delayMs: 1500 });
    const id = await jobs.placed();
    const drained = await fetch(`${router.adminUrl}/api/drain`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect(drained.status).toBeLessThan(300);
    const refused = await jobs.order();
    expect(errorOf(refused)).toMatchObject({ status: 503, code: "draining" });
    expect(refused.headers.get("x-should-retry")).toBe("true");
    await until("it is done", async () => (await jobs.get(id, 20)).job["status"] === "succeeded");
  });

  test("by SIGTERM is quick with jobs under way and a caller waiting, and the next start finishes them, once each", async () => {
    const { aws, jobs, router, again } = await startBronze(ends, { config: "[drain]\ndeadline_ms = 1000\n" });
    aws.fault({ kind: "late-output", delayMs: 2500 });
    const requests = Array.from({ length: 12 }, () => tale());
    const ids = await Promise.all(requests.map((request) => jobs.placed(request)));
    const [first = ""] = ids;
    await until("all are handed over", () => aws.invocations.length === ids.length);
    const waiting = jobs.get(first, 60);
    await Bun.sleep(100);
    const began = performance.now();
    router.signal("SIGTERM");
    expect(await waiting).toMatchObject({ status: 200, job: { id: first, status: "running" } });
    expect(await router.exited).toBe(0);
    expect(performance.now() - began).toBeLessThan(4000);
    const next = await again();
    const answers = await Promise.all(ids.map((id) => next.jobs.get(id, 20)));
    const said = answers.map(({ job }) => JSON.stringify(job["result"]));
    for (const [index, request] of requests.entries()) {
      expect(answers[index]?.job["status"]).toBe("succeeded");
      expect(said[index]).toContain(saidBack(request));
    }
    expect(aws.invocations).toHaveLength(ids.length);
    expect(await next.router.metric("tierline_jobs_recovered_total")).toBe(0);
  });

  test("who waits for the end of a job holds neither `drain --wait` up nor the end of the router", async () => {
    const { aws, jobs, router } = await startBronze(ends);
    aws.fault(held);
    const id = await jobs.placed();
    await until("it is running", async () => (await jobs.get(id)).job["status"] === "running");
    const waitOn = () => Promise.all(Array.from({ length: 20 }, () => jobs.get(id, 120)));
    const drainState = async () => JSON.parse(await (await fetch(`${router.adminUrl}/api/drain`)).text());
    const allWait = (): Promise<void> => until("all wait", async () => (await drainState()).inflight === 20);
    const run = (...args: string[]) =>
      Bun.spawn([binary, ...args, "--admin", router.adminUrl], { stdout: "ignore", stderr: "ignore" }).exited;
    const told = new Set<unknown>();
    const hear = async (waiting: ReturnType<typeof waitOn>): Promise<void> => {
      for (const { status, job } of await waiting) told.add(`${status} ${job["status"]}`);
    };

    const first = waitOn();
    await allWait();
    expect(await run("drain", "--wait")).toBe(0);
    await hear(first);
    await hear(waitOn());
    expect(await run("undrain")).toBe(0);
    const second = waitOn();
    await allWait();
    const toldAt = performance.now();
    router.signal("SIGTERM");
    expect(await router.exited).toBe(0);
    expect(performance.now() - toldAt).toBeLessThan(4000);
    await hear(second);
    expect([...told]).toEqual(["200 running"]);
  });
});
