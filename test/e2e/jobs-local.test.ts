// Jobs of the compiled binary on the engines of its own fleet, beside players who go before.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import type { JobClient } from "../support/bronze.ts";
import { folder, jobClient, tale } from "../support/bronze.ts";
import { chat, messages, readAll, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { showFigures } from "../support/failures.ts";
import { measuredUndisturbed } from "../support/measured-undisturbed.ts";
import { openAiErrorOf, readOpenAiError } from "../support/openai-error.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

setDefaultTimeout(30_000);

const ends = cleanup();

/** `slots`: of the engine, which batches no more than those. */
async function house(slots = 1) {
  const silver = ends(await startSimulatedEngine({ model: "large", msPerToken: 5, maxNumSeqs: slots }));
  const { dir } = ends(folder());
  const config = `${engineToml("silver", silver.url, `max_concurrent = ${slots}\nmax_queue = 4`)}
[tier.bronze]
runner = "local"
[drain]
deadline_ms = 500
`;
  const again = async () => {
    const router = ends(await startTierline({ config, dir }));
    return { router, jobs: jobClient(router.url) };
  };
  const { router, jobs } = await again();
  const play = (max_tokens: number, more: object = {}, headers: Record<string, string> = {}) =>
    chat(router.url, { ...tale(), model: "silver", max_tokens, ignore_eos: true, ...more }, { headers });
  /** A player who goes on reading until the answer is over; resolves when it has begun. */
  const stream = async (tokens: number): Promise<{ readonly over: Promise<unknown> }> => {
    const answer = await play(tokens, { stream: true }, { "x-tierline-deadline-ms": "60000" });
    expect(answer.status).toBe(200);
    return { over: readAll(answer) };
  };
  return { silver, router, jobs, again, play, stream };
}

/** Of so many tokens, at 5 ms each. */
const long = (tokens: number) => ({ ...tale(), max_tokens: tokens, ignore_eos: true });

const statusOf = async (jobs: JobClient, id: string) => (await jobs.get(id)).job["status"];
const runs = (jobs: JobClient, id: string): Promise<void> =>
  until("it runs", async () => (await statusOf(jobs, id)) === "running");

describe("a job on this fleet", () => {
  test("ends as the engine's own answer, at the lowest priority, and is never streamed", async () => {
    const { silver, jobs, play, router } = await house();
    await (await play(1)).text();
    const id = await jobs.placed({ ...long(20), stream: true, priority: -5 });
    const { job } = await jobs.get(id, 20);
    expect(job).toMatchObject({
      status: "succeeded",
      result: { object: "chat.completion", model: "large", usage: { completion_tokens: 20 } },
    });
    const [player, own] = silver.requests().filter(({ path }) => path === "/v1/chat/completions");
    const [played, done] = [JSON.parse(player?.body ?? ""), JSON.parse(own?.body ?? "")];
    expect(done.stream ?? false).toBe(false);
    expect(done.priority).toBeGreaterThan(played.priority ?? 0);
    expect(await (await fetch(`${router.url}/health`)).json()).toMatchObject({
      jobs: { runner: "local", queued: 0, running: 0, store: "ok" },
    });
  });

  test("fails with the engine's own words where it refuses the request, and is 404 for a model that nobody has", async () => {
    const { jobs } = await house();
    const { job } = await jobs.get(await jobs.placed({ ...tale(), max_tokens: 99_999 }), 20);
    expect(job).toMatchObject({
      status: "failed",
      error: { code: "upstream_failed", message: expect.stringContaining("max_tokens=99999") },
    });
    const unknown = await jobs.order({ ...tale(), model: "nonsense" });
    expect([unknown.status, readOpenAiError(unknown.text).code]).toEqual([404, "model_not_found"]);
  });

  test("waits as `queued` while half of the slots are in use, and runs when fewer are", async () => {
    const { silver, jobs, stream, router } = await house(4);
    const players = [await stream(150), await stream(600)] as const;
    const id = await jobs.placed(long(20));
    await Bun.sleep(400);
    expect(await statusOf(jobs, id)).toBe("queued");
    expect(await router.metric("tierline_jobs_backlog")).toBe(1);
    expect(silver.stats().running).toBe(2);
    await players[0].over;
    expect((await jobs.get(id, 20)).job["status"]).toBe("succeeded");
    expect(silver.stats().running).toBe(1);
  });

  test("that is `running` yields at once to a player, is `queued` for as long as there is one, and then begins anew", async () => {
    const { silver, jobs, play, stream, router } = await house();
    const id = await jobs.placed(long(200));
    await runs(jobs, id);
    const began = performance.now();
    const answer = await play(4);
    await answer.text();
    expect(answer.status).toBe(200);
    // A second is what is left of the job.
    expect(performance.now() - began).toBeLessThan(500);
    const player = await stream(100);
    expect(await statusOf(jobs, id)).toBe("queued");
    expect(silver.stats()).toMatchObject({ running: 1, waiting: 0 });
    await player.over;
    await runs(jobs, id);
    expect((await jobs.get(id, 20)).job).toMatchObject({
      status: "succeeded",
      result: { usage: { completion_tokens: 200 } },
    });
    expect(await router.metric("tierline_jobs_yields_total")).toBeGreaterThanOrEqual(1);
    expect(await router.metric("tierline_jobs_refusals_total")).toBe(0);
  });

  test("is what a chat becomes that asks for it while the engine is full, and nothing waits for the fleet itself", async () => {
    const { jobs, stream, play } = await house();
    const player = await stream(200);
    const told = await play(4, { model: "bronze" });
    const { id } = JSON.parse(await told.text());
    expect([told.status, await statusOf(jobs, id)]).toEqual([202, "queued"]);
    await player.over;
    expect((await jobs.get(id, 20)).job["status"]).toBe("succeeded");
    const embedding = await fetch(`${(await house()).router.url}/v1/embeddings`, {
      method: "POST",
      body: JSON.stringify({ model: "bronze", input: "Once" }),
    });
    expect([embedding.status, (await openAiErrorOf(embedding)).code]).toEqual([503, "no_endpoint"]);
  });
});

test("players are answered as soon beside a row of jobs as without them", async () => {
  const { jobs, play, router } = await house();
  const times = async (pauseMs: number): Promise<number[]> => {
    const took: number[] = [];
    for (let n = 0; n < 11; n += 1) {
      await Bun.sleep(pauseMs);
      const began = performance.now();
      const answer = await play(4, { messages });
      expect(answer.status).toBe(200);
      await answer.text();
      took.push(performance.now() - began);
    }
    return took.toSorted((a, b) => a - b);
  };
  const median = (took: readonly number[]): number => took[5] ?? Number.NaN;
  const yieldsNow = () => router.metric("tierline_jobs_yields_total");
  const measure = async () => {
    const alone = await times(20);
    const before = await yieldsNow();
    const ids = await Promise.all([1, 2, 3].map(() => jobs.placed(long(1500))));
    // Long enough for the next job to begin.
    const beside = await times(350);
    const yields = (await yieldsNow()) - before;
    for (const id of ids) expect((await jobs.cancel(id)).job["status"]).toBe("cancelled");
    return {
      median: { alone: median(alone), beside: median(beside) },
      worst: { alone: alone.at(-1) ?? Number.NaN, beside: beside.at(-1) ?? Number.NaN },
      yields,
    };
  };
  await times(0);
  const figures = await measuredUndisturbed(
    measure,
    (each) =>
      each.yields >= 5 &&
      each.median.beside < each.median.alone + 25 &&
      each.worst.beside < each.worst.alone + 250,
  );
  showFigures("players beside jobs, ms", figures);
  expect(figures.yields).toBeGreaterThanOrEqual(5);
  expect(figures.median.beside).toBeLessThan(figures.median.alone + 25);
  expect(figures.worst.beside).toBeLessThan(figures.worst.alone + 250);
}, 90_000);

describe("a restart", () => {
  test.each([
    ["SIGTERM", 0],
    ["SIGKILL", 1],
  ] as const)(
    "by %s with a job that runs and one that waits: both are done afterwards",
    async (signal, crashes) => {
      const { silver, jobs, router, again } = await house();
      const [first, second] = [await jobs.placed(long(100)), await jobs.placed(long(20))];
      await until(
        "one of them runs",
        async () => (await router.metric("tierline_jobs", { status: "running" })) === 1,
      );
      const began = performance.now();
      router.signal(signal);
      await router.exited;
      expect(performance.now() - began).toBeLessThan(2500);
      await until("the engine has been left", () => silver.stats().running === 0);
      const next = await again();
      for (const id of [first, second]) expect((await next.jobs.get(id, 20)).job["status"]).toBe("succeeded");
      expect(await next.router.metric("tierline_jobs_recovered_total")).toBe(crashes);
      const done = silver.requests().filter(({ outcome }) => outcome === "finished");
      expect(done.filter(({ path }) => path === "/v1/chat/completions")).toHaveLength(2);
    },
  );
});
