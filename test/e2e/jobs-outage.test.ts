// A SageMaker and an S3 that fail under the compiled binary in every way that the stand-in knows.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import type { AwsFault } from "../../playground/aws/faults.ts";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import type { Bronze, JobClient } from "../support/bronze.ts";
import { saidBack, startBronze, tale } from "../support/bronze.ts";
import { chat, messages, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { measured } from "../support/measured.ts";
import { engineToml } from "../support/tierline.ts";

setDefaultTimeout(40_000);

const ends = cleanup();

const outputs = ({ aws }: Bronze): number =>
  aws.objects.keys("bucket").filter((key) => key.startsWith("results/")).length;

/** Orders a job, and says how it ended. */
async function through(jobs: JobClient, ttlSeconds = 60) {
  const request = tale();
  const id = await jobs.placed(request, { ttl_seconds: ttlSeconds });
  return { id, said: saidBack(request), ...(await jobs.get(id, 30)) };
}

const result = (said: string) => ({
  status: "succeeded",
  result: { choices: [{ message: { content: said } }] },
});

describe("a job comes to its one result", () => {
  const troubles: Readonly<Record<string, AwsFault>> = {
    throttled: { kind: "throttle", times: 2 },
    "an endpoint that is being made": { kind: "status", status: 503, times: 2 },
    "taken, and 500 said": { kind: "accept-then-500", times: 1 },
    "taken, and the answer lost": { kind: "accept-then-reset", times: 1 },
    "delivered twice": { kind: "duplicate", times: 1 },
    "an S3 that fails": { kind: "status", status: 503, on: "get", times: 2 },
    "an S3 that cuts its answers off": { kind: "truncate", on: "get", times: 1 },
  };

  test("handed over once, whatever happens on the way there and back (fault 39)", async () => {
    const ended = Object.entries(troubles).map(async ([name, fault]) => {
      const stage = await startBronze(ends);
      stage.aws.fault(fault);
      const { said, job } = await through(stage.jobs);
      expect({ name, ...job }).toMatchObject({ name, ...result(said) });
      const left = stage.aws.faults().length;
      return [name, { left, handedOver: stage.aws.invocations.length, results: outputs(stage) }];
    });
    const once = { left: 0, handedOver: 1, results: 1 };
    expect(Object.fromEntries(await Promise.all(ended))).toEqual(
      Object.fromEntries(Object.keys(troubles).map((name) => [name, once])),
    );
    measured(39, `${Object.keys(troubles).length} kinds of trouble: each handed over once, 1 result`);
  });

  test("though its keys are withdrawn while it runs: the role has new ones (fault 42)", async () => {
    const { aws, jobs } = await startBronze(ends);
    aws.fault({ kind: "late-output", delayMs: 1000 });
    const before = through(jobs);
    await until("it is handed over", () => aws.invocations.length === 1);
    aws.expireCredentials();
    const { said, job } = await before;
    expect(job).toMatchObject(result(said));
    measured(42, "keys withdrawn while a job runs: renewed, the job succeeded");
  });

  test("where the role may not list the bucket, so that every look is 403, and the log says what is missing", async () => {
    const { aws, jobs, router } = await startBronze(ends);
    aws.allowList(false);
    aws.fault({ kind: "late-output", delayMs: 1500 });
    const { said, job } = await through(jobs);
    expect(job).toMatchObject(result(said));
    expect(JSON.stringify(router.log)).toContain("s3:ListBucket");
  });
});

describe("a job ends, and says why", () => {
  test("when the model fails, with the failure's own words; when the answer is none; and when SageMaker refuses it", async () => {
    const { aws, jobs, router } = await startBronze(ends);
    const failed = (message: string) => ({
      status: "failed",
      error: { code: "upstream_failed", message: expect.stringContaining(message) },
    });
    aws.fault({ kind: "failure", message: "CUDA out of memory", times: 1 });
    expect((await through(jobs)).job).toMatchObject(failed("CUDA out of memory"));
    aws.fault({ kind: "answer", body: "<html>", times: 1 });
    expect((await through(jobs)).job).toMatchObject(failed("<html>"));
    aws.fault({ kind: "status", status: 400, code: "ValidationError", times: 1 });
    const refused = await through(jobs);
    expect(refused.job).toMatchObject(failed("ValidationError"));
    expect(refused.job).not.toHaveProperty("result");
    expect(await router.metric("tierline_jobs", { status: "failed" })).toBe(3);
  });

  test("when its ttl is over: where the output is lost, and where it is never taken (fault 41)", async () => {
    const [lost, refused] = await Promise.all([startBronze(ends), startBronze(ends)]);
    lost.aws.fault({ kind: "lost-output" });
    refused.aws.fault({ kind: "throttle" });
    const began = Date.now();
    const told = await Promise.all([lost, refused].map(({ jobs }) => through(jobs, 1)));
    for (const { job } of told)
      expect(job).toMatchObject({ status: "expired", error: { code: "deadline_exceeded" } });
    const tookMs = Date.now() - began;
    expect(tookMs).toBeGreaterThan(1000);
    expect([lost, refused].map(({ aws }) => aws.invocations.length)).toEqual([1, 0]);
    expect(await lost.router.metric("tierline_jobs", { status: "expired" })).toBe(1);
    measured(41, `\`expired\` ${(tookMs / 1000).toFixed(1)} s after acceptance with a ttl of 1 s`);
  });
});

describe("players", () => {
  test("are answered as ever while AWS hangs from the start on, and jobs wait until it is back (fault 39) (fault 42)", async () => {
    const silver = ends(await startSimulatedEngine({ model: "large", msPerToken: 1 }));
    const stage = await startBronze(ends, { config: engineToml("silver", silver.url) });
    const { aws, again } = stage;
    await stage.router.stop();
    const operations = ["invoke", "describe", "get", "put", "list"] as const;
    aws.fault(...operations.map((on) => ({ kind: "hang", on }) as const));
    const began = performance.now();
    const { router, jobs } = await again();
    expect(performance.now() - began).toBeLessThan(3000);
    const request = tale();
    const ids = await Promise.all([jobs.placed(request), jobs.placed(), jobs.placed()]);
    const took: number[] = [];
    for (let n = 0; n < 50; n += 1) {
      const asked = performance.now();
      const answer = await chat(router.url, { model: "silver", messages, max_tokens: 2 });
      expect(answer.status).toBe(200);
      await answer.text();
      took.push(performance.now() - asked);
    }
    const usualMs = took.toSorted((a, b) => a - b)[45] ?? Number.POSITIVE_INFINITY;
    expect(usualMs).toBeLessThan(100);
    for (const id of ids) expect((await jobs.get(id)).job["status"]).toBe("queued");
    expect(await router.metric("tierline_jobs_backlog")).toBe(3);
    aws.fault();
    const [first = ""] = ids;
    expect((await jobs.get(first, 30)).job).toMatchObject(result(saidBack(request)));
    measured(
      39,
      `AWS silent from the start: 0 of 50 chats failed, p90 ${usualMs.toFixed(1)} ms; 3 jobs waited and ended`,
    );
    measured(42, "no credentials at all, as AWS is silent: jobs stay queued, and end when it is back");
  });
});
