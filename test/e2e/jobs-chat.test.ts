// Chats that end in the async lane of the compiled binary: those that want to, and those that nobody else can serve.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import OpenAI from "openai";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import type { Bronze, BronzeOptions } from "../support/bronze.ts";
import { saidBack, startBronze, tale } from "../support/bronze.ts";
import { chat, readAll, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { openAiErrorOf } from "../support/openai-error.ts";
import { engineToml } from "../support/tierline.ts";

setDefaultTimeout(30_000);

const ends = cleanup();

const respondAsync = { prefer: "respond-async" };

/** A Silver with one slot and no queue before Bronze. */
async function house({ drainMs = 300, ...options }: BronzeOptions & { readonly drainMs?: number } = {}) {
  const silver = ends(await startSimulatedEngine({ model: "large", msPerToken: 10 }));
  const engine = engineToml("silver", silver.url, "max_concurrent = 1\nmax_queue = 0");
  const bronze = await startBronze(ends, {
    ...options,
    config: `${engine}[drain]\ndeadline_ms = ${drainMs}\n${options.config ?? ""}`,
  });
  const occupy = async (): Promise<void> => {
    const stream = { ...tale(), model: "silver", stream: true, max_tokens: 5000, ignore_eos: true };
    const headers = { "x-tierline-deadline-ms": "60000" };
    const taken = await chat(bronze.router.url, stream, { headers });
    expect(taken.status).toBe(200);
    // Read on, or it counts as a player who has left.
    void readAll(taken);
  };
  return { silver, occupy, ...bronze };
}

/** What jobs took of late is known afterwards: half a second or so, longer on a busy machine. Answers the longest. */
async function quickJobs({ jobs }: Pick<Bronze, "jobs">): Promise<number> {
  const began = performance.now();
  const ids = await Promise.all([jobs.placed(), jobs.placed(), jobs.placed()]);
  for (const id of ids) expect((await jobs.get(id, 20)).job["status"]).toBe("succeeded");
  return performance.now() - began;
}

const place = ({ headers }: Response) =>
  ["tier", "locality", "because"].map((name) => headers.get(`x-tierline-${name}`));

describe("a chat that asks for it", () => {
  test("by its class, by Bronze's name, by its model or by an alias gets 202 and the job", async () => {
    const config = '[aliases]\n"bard" = { tier = "bronze" }\n';
    const { jobs, router } = await house({ config });
    const asks = [
      [{ "x-tierline-sla": "async" }, {}],
      [{}, { model: "async" }],
      [{}, { model: "bronze" }],
      [{}, { model: "bard" }],
      [{ "x-tierline-sla": "async" }, { model: "story-70b" }],
    ] as const;
    const all = asks.map(async ([headers, named]) => {
      const request = { ...tale(), ...named };
      const answer = await chat(router.url, request, { headers });
      const job = JSON.parse(await answer.text());
      expect([answer.status, job.object, job.model]).toEqual([202, "job", "story-70b"]);
      expect(answer.headers.get("location")).toBe(`/v1/jobs/${job.id}`);
      expect(answer.headers.get("preference-applied")).toBeNull();
      expect(place(answer)).toEqual(["bronze", null, "deferred"]);
      const ended = await jobs.get(job.id, 20);
      expect(ended.job["result"]).toMatchObject({ choices: [{ message: { content: saidBack(request) } }] });
    });
    await Promise.all(all);
  });

  test("through the OpenAI SDK is a job like any other, and an embedding is none", async () => {
    const { router } = await house();
    const client = new OpenAI({ apiKey: "player", baseURL: `${router.url}/v1`, maxRetries: 0 });
    const request = { messages: [{ role: "user" as const, content: "A tale." }] };
    const { data, response } = await client.chat.completions
      .create({ model: "bronze", ...request }, { idempotencyKey: "quest-1" })
      .withResponse();
    expect([response.status, data.id.startsWith("job_")]).toEqual([202, true]);
    const ended: unknown = await client.get(`/jobs/${data.id}`, { query: { wait: 20 } });
    expect(ended).toMatchObject({ status: "succeeded", result: { object: "chat.completion" } });
    const completion = client.completions.create({ model: "bronze", prompt: "Once" }).withResponse();
    expect((await completion).response.status).toBe(202);
    const embedding = client.embeddings.create({ model: "bronze", input: "Once" });
    expect(
      await embedding.then(
        () => undefined,
        ({ status, code }) => [status, code],
      ),
    ).toEqual([503, "no_endpoint"]);
  });
});

describe("a chat that takes a job instead of an answer", () => {
  test("gets its answer while Silver has room, and a job when it is full or dead", async () => {
    const { silver, occupy, jobs, router } = await house();
    const ask = () =>
      chat(router.url, { model: "silver", max_tokens: 2, ...tale() }, { headers: respondAsync });
    const answered = await ask();
    expect([answered.status, answered.headers.get("preference-applied")]).toEqual([200, null]);
    await answered.text();
    const expectJob = async (): Promise<void> => {
      const told = await ask();
      const { id } = JSON.parse(await told.text());
      expect([told.status, told.headers.get("preference-applied")]).toEqual([202, "respond-async"]);
      expect((await jobs.get(id, 20)).job).toMatchObject({ model: "story-70b", status: "succeeded" });
    };
    await occupy();
    await expectJob();
    silver.fault({ kind: "refuse" });
    await expectJob();
  });

  test("where it names a model that Bronze does not have is shed as ever", async () => {
    const { occupy, router, aws } = await house();
    await occupy();
    const shed = await chat(router.url, { ...tale(), model: "large" }, { headers: respondAsync });
    expect([shed.status, (await openAiErrorOf(shed)).code]).toEqual([429, "tier_overloaded"]);
    expect(aws.invocations).toEqual([]);
  });
});

describe("a chat that wants an answer where Silver is full", () => {
  test("waits for Bronze when jobs of late were quick, and gets the container's own answer", async () => {
    const stage = await house();
    await quickJobs(stage);
    await stage.occupy();
    const request = tale();
    const answer = await chat(stage.router.url, { model: "silver", ...request });
    expect(answer.status).toBe(200);
    expect(place(answer)).toEqual(["bronze", "cloud", "deferred"]);
    expect(await answer.json()).toMatchObject({
      object: "chat.completion",
      choices: [{ message: { content: saidBack(request) } }],
    });
    stage.aws.fault({ kind: "failure", message: "CUDA out of memory" });
    const failed = await chat(stage.router.url, { model: "silver", ...tale() });
    const { code, message } = await openAiErrorOf(failed);
    expect([failed.status, code, message]).toEqual([502, "upstream_failed", expect.stringContaining("CUDA")]);
  });

  test("is shed where nothing is known of jobs, where they take too long for it, where it streams or is too long for them", async () => {
    const stage = await house();
    const { router, aws, occupy } = stage;
    await occupy();
    const shed = async (more: object, headers: Record<string, string> = {}): Promise<void> => {
      const began = performance.now();
      const response = await chat(router.url, { model: "silver", ...tale(), ...more }, { headers });
      expect([response.status, (await openAiErrorOf(response)).code]).toEqual([429, "tier_overloaded"]);
      expect(performance.now() - began).toBeLessThan(500);
    };
    await shed({});
    await quickJobs(stage);
    const before = aws.invocations.length;
    await shed({}, { "x-tierline-deadline-ms": "300" });
    await shed({ stream: true });
    // Longer than SageMaker takes: that is no reason for who wants Silver not to come again.
    const long = { filling: "x".repeat(200_000) };
    await shed(long);
    await shed(long, respondAsync);
    expect(aws.invocations).toHaveLength(before);
    const streamed = await chat(
      router.url,
      { model: "silver", ...tale(), stream: true },
      { headers: respondAsync },
    );
    expect(streamed.status).toBe(202);
  });

  test("gets 504 when the job does not come in time, or leaves, and either way the job is cancelled", async () => {
    const stage = await house();
    const { router, aws, jobs } = stage;
    const deadlineMs = Math.ceil((await quickJobs(stage)) + 1000);
    await stage.occupy();
    aws.fault({ kind: "lost-output" });
    const began = performance.now();
    const late = await chat(
      router.url,
      { model: "silver", ...tale() },
      { headers: { "x-tierline-deadline-ms": String(deadlineMs) } },
    );
    expect([late.status, (await openAiErrorOf(late)).code]).toEqual([504, "deadline_exceeded"]);
    expect(performance.now() - began).toBeLessThan(deadlineMs + 1500);
    const leaving = new AbortController();
    const left = chat(router.url, { model: "silver", ...tale() }, { signal: leaving.signal }).catch(
      () => "left",
    );
    const count = async (status: string) => router.metric("tierline_jobs", { status });
    await until("it is handed over", async () => (await count("running")) === 1);
    leaving.abort();
    expect(await left).toBe("left");
    await until("both are cancelled", async () => (await count("cancelled")) === 2);
    expect((await jobs.list("?status=running")).job["data"]).toEqual([]);
  });

  test("is sent to another host as soon as this one is told to end, though Bronze hangs, and its job is cancelled", async () => {
    const stage = await house({ drainMs: 9_000 });
    const { router, aws, silver } = stage;
    await quickJobs(stage);
    await silver.stop();
    aws.fault({ kind: "lost-output" });
    const waiting = chat(router.url, { model: "silver", ...tale() });
    await until("it waits", async () => (await router.metric("tierline_jobs", { status: "running" })) === 1);
    router.signal("SIGTERM");
    const told = await waiting;
    expect([told.status, (await openAiErrorOf(told)).code]).toEqual([503, "draining"]);
    expect(told.headers.get("x-should-retry")).toBe("true");
    expect([told.headers.get("x-tierline-tier"), told.headers.get("x-tierline-because")]).toEqual([
      "bronze",
      "draining",
    ]);
    // At the deadline it would be cut, and the exit code 1.
    expect(await router.exited).toBe(0);
    const { jobs } = await stage.again();
    expect((await jobs.list("?status=cancelled")).job["data"]).toHaveLength(1);
  });
});
