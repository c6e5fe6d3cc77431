// kill -9 of the compiled binary at random moments, under callers who go on ordering: what was promised comes to one end.
// `TIERLINE_LONG=1 bun test test/e2e/jobs-crash` kills it 500 times and prints the figures.

import { expect, test } from "bun:test";
import { join } from "node:path";
import type { Aws } from "../../playground/aws.ts";
import { startAws } from "../../playground/aws.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { JobAnswer, JobClient } from "../support/bronze.ts";
import { awsEnv, folder, jobClient, sageMakerToml, saidBack, tale } from "../support/bronze.ts";
import { until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { longRun, showFigures } from "../support/failures.ts";
import { measured } from "../support/measured.ts";
import type { Tierline } from "../support/tierline.ts";
import { binary, startTierline } from "../support/tierline.ts";

const ends = cleanup();

const kills = longRun ? 500 : 25;
const seed = Number(process.env["JOB_KILL_SEED"] ?? Math.floor(Math.random() * 1e9));

interface Order {
  readonly key: string;
  readonly request: ReturnType<typeof tale>;
  id?: string;
  /** The whole answer that a caller was shown once the job had ended. */
  shown?: string;
}

const ulid = (id: string): string => id.slice(id.lastIndexOf("_") + 1);

/** Nobody answers: it was killed. What it had answered before counts. */
const orKilled = (answer: Promise<JobAnswer>): Promise<JobAnswer | undefined> =>
  answer.catch(() => undefined);

/** Orders one job after the other, and what got no answer once more with the same key, until the router is gone. */
async function orderOn(
  jobs: JobClient,
  open: Order[],
  all: Order[],
  random: () => number,
  faults: string[],
): Promise<void> {
  for (;;) {
    await Bun.sleep(random() * 20);
    const order = open.shift() ?? { key: crypto.randomUUID(), request: tale() };
    if (!all.includes(order)) all.push(order);
    const told = await orKilled(jobs.order(order.request, { headers: { "idempotency-key": order.key } }));
    if (told === undefined) {
      open.push(order);
      return;
    }
    const id = String(told.job["id"]);
    if (told.status !== 202 && told.status !== 200) faults.push(`${told.status} ${told.text}`);
    if (order.id !== undefined && order.id !== id) faults.push(`${order.key} is ${order.id} and ${id}`);
    order.id = id;
  }
}

/** A caller reads an answer; it must be the one that was read before, if that was of an end. */
function read(order: Order, { status, job, text }: JobAnswer, faults: string[]): void {
  if (status !== 200) faults.push(`${order.id} was promised, and is ${status} ${text}`);
  if (order.shown !== undefined && order.shown !== text) faults.push(`${order.shown} became ${text}`);
  if (job["ended_at"] !== undefined) order.shown = text;
}

async function readOn(jobs: JobClient, all: readonly Order[], random: () => number, faults: string[]) {
  for (;;) {
    const order = all[Math.floor(random() * all.length)];
    if (order?.id === undefined) {
      await Bun.sleep(1);
      continue;
    }
    const seen = await orKilled(jobs.get(order.id));
    if (seen === undefined) return;
    read(order, seen, faults);
  }
}

/** AWS has been asked about each of these, or has been handed it, since there were so many calls. */
async function takenUp(aws: Aws, callsBefore: number, invokedBefore: number, wanted: readonly string[]) {
  const left = new Set(wanted.map(ulid));
  await until("all unfinished jobs are taken up", () => {
    const calls = aws.calls.slice(callsBefore).join("\n");
    const invoked = aws.invocations.slice(invokedBefore).map(({ inferenceId }) => inferenceId);
    for (const each of left)
      if (calls.includes(each) || invoked.some((inferenceId) => inferenceId.startsWith(each)))
        left.delete(each);
    return left.size === 0;
  });
}

/** Of one of many; measured at 5 to 10. */
const handOverMs = 10;

test(
  `${kills} kills at random moments: every job that was promised ends once, shows one result, and is taken up within 2 s, many of them as fast as they are handed over (fault 35)`,
  async () => {
    const random = seededRandom(seed);
    const { dir } = ends(folder());
    // Longer than most lives, so that there is always work that is under way.
    const aws = ends(startAws({ workMs: 150, concurrency: 64 }));
    const options = { config: sageMakerToml(), env: awsEnv(aws), dir };
    const all: Order[] = [];
    const open: Order[] = [];
    const faults: string[] = [];
    const endLines = new Map<string, number>();
    const figures = {
      seed,
      kills: 0,
      promised: 0,
      poisoned: 0,
      underWay: 0,
      slowestStartMs: 0,
      slowestTakeUpMs: 0,
      ofJobs: 0,
      handedOver: 0,
    };

    const ended = (router: Tierline): void => {
      for (const { msg, job } of router.log)
        if (msg === "job succeeded") endLines.set(String(job), (endLines.get(String(job)) ?? 0) + 1);
    };
    for (let life = 0; life < kills; life += 1) {
      if (life % 5 === 4) {
        // Killed while it starts.
        const child = Bun.spawn([binary, "serve", "--config", join(dir, "tierline.toml")], {
          env: { PATH: process.env["PATH"] ?? "", ...options.env },
          stdout: "ignore",
          stderr: "ignore",
        });
        await Bun.sleep(random() * 120);
        child.kill("SIGKILL");
        await child.exited;
        figures.kills += 1;
        continue;
      }
      const [calls, invoked] = [aws.calls.length, aws.invocations.length];
      const startedAt = performance.now();
      const router = await startTierline(options);
      figures.slowestStartMs = Math.max(figures.slowestStartMs, Math.round(performance.now() - startedAt));
      const jobs = jobClient(router.url);
      if (life % 5 === 3) {
        const began = performance.now();
        const unknown = all.filter(({ id, shown }) => id !== undefined && shown === undefined);
        const wanted: string[] = [];
        for (const order of unknown) {
          read(order, await jobs.get(String(order.id)), faults);
          if (order.shown === undefined) wanted.push(String(order.id));
        }
        await takenUp(aws, calls, invoked, wanted);
        figures.underWay += wanted.length;
        const tookMs = Math.round(performance.now() - began);
        if (tookMs > figures.slowestTakeUpMs)
          Object.assign(figures, { slowestTakeUpMs: tookMs, ofJobs: wanted.length });
        // Or a long run would pile them up, for most lives are shorter than a job.
        const underWay = () => router.metric("tierline_jobs", { status: "running" });
        await until("most have ended", async () => (await underWay()) < 50, 20_000);
      }
      const callers = [
        ...Array.from({ length: 3 }, () => orderOn(jobs, open, all, random, faults)),
        readOn(jobs, all, random, faults),
      ];
      await Bun.sleep(random() * 250);
      router.signal("SIGKILL");
      await Promise.all([router.exited, ...callers]);
      ended(router);
      figures.kills += 1;
    }

    const last = ends(await startTierline(options));
    const jobs = jobClient(last.url);
    for (const order of open) {
      const told = await jobs.order(order.request, { headers: { "idempotency-key": order.key } });
      const id = String(told.job["id"]);
      if (order.id !== undefined && order.id !== id) faults.push(`${order.key} is ${order.id} and ${id}`);
      order.id = id;
    }
    figures.promised = all.length;
    for (const order of all) {
      const answer = await jobs.get(String(order.id), 60);
      read(order, answer, faults);
      const { status, error, result } = answer.job;
      if (JSON.stringify(error ?? "").includes("job_poisoned")) figures.poisoned += 1;
      else if (status !== "succeeded" || !JSON.stringify(result).includes(saidBack(order.request)))
        faults.push(`lost: ${answer.text}`);
    }
    ended(last);
    figures.handedOver = aws.invocations.length;
    showFigures("kills of the binary", figures);
    expect({ seed, faults: faults.slice(0, 10) }).toEqual({ seed, faults: [] });
    expect([...endLines].filter(([, times]) => times > 1)).toEqual([]);
    // One job a key, also where the answer was lost on its way.
    expect(await last.metric("tierline_jobs")).toBe(all.length);
    expect(figures.kills).toBe(kills);
    expect(figures.promised).toBeGreaterThan(kills);
    expect(figures.underWay).toBeGreaterThan(kills / 5);
    // The lane hands over some hundred a second, for the loop is the players'; a long run meets hundreds at once.
    expect(figures.slowestTakeUpMs).toBeLessThan(2000 + figures.ofJobs * handOverMs);
    expect(figures.poisoned).toBeLessThanOrEqual(figures.promised / 50);
    // The unit restarts it after 250 ms.
    expect(figures.slowestStartMs).toBeLessThan(750 * 4);
    measured(
      35,
      `${kills} kills of the binary: ready within ${figures.slowestStartMs} ms of each start; of ${figures.promised} jobs 0 lost, 0 shown twice`,
    );
  },
  60_000 + kills * 3000,
);
