// What the lane relies on, whoever does the work: one suite over every runner.

import { afterAll, afterEach, describe, expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import type { HandedJob, JobRunner, Looked, Submitted } from "../../src/jobs/runner.ts";
import { jobToDo, lookUntilEnd, submittedJob, textOf } from "../support/job-to-do.ts";
import { echo, localScene } from "../support/local-scene.ts";
import { sageMakerScene } from "../support/sagemaker-scene.ts";

interface Scene {
  readonly runner: JobRunner;
  /** From now on whoever does the work is broken, unreachable or full, through no fault of the job. */
  break(): void;
  /** From now on jobs fail for a reason that lies in them. */
  spoil(): void;
  /** From now on it says nothing at all. */
  silence(): void;
  mend(): void;
  stop(): Promise<void>;
}

const rows: readonly { readonly name: JobRunner["name"]; open(): Scene }[] = [
  {
    name: "sagemaker",
    open() {
      const { runner, standIn, stop } = sageMakerScene();
      return {
        runner,
        break: () => standIn.fault({ kind: "status", status: 500 }),
        spoil: () => standIn.fault({ kind: "failure", message: "the prompt is too long for this model" }),
        silence: () => standIn.fault({ kind: "hang" }),
        mend: () => standIn.fault(),
        stop,
      };
    },
  },
  {
    name: "local",
    open() {
      const local = localScene(systemClock);
      const says = (status: number, message: string) => () => ({
        status,
        chunks: [[1, JSON.stringify({ error: { message } })]] as const,
      });
      return {
        runner: local.runner,
        break: () => {
          local.reply = says(500, "out of memory");
        },
        spoil: () => {
          local.reply = says(400, "the prompt is too long for this model");
        },
        silence: () => {
          local.reply = () => ({ hangs: true });
        },
        mend: () => {
          local.reply = echo;
        },
        stop: () => Promise.resolve(),
      };
    },
  },
];

const { signal } = new AbortController();

for (const { name, open } of rows) {
  describe(`the ${name} runner`, () => {
    const scene = open();
    const { runner } = scene;
    afterEach(scene.mend);
    afterAll(scene.stop);

    /** To its end, however this runner gets there. */
    const finish = async (job: HandedJob): Promise<Submitted | Looked> => {
      const submitted = await runner.submit(job, signal);
      return submitted.kind === "submitted" ? lookUntilEnd(runner, submittedJob(job, submitted)) : submitted;
    };

    test("says where a result will be before anything is done, the same place for a job and another for another", () => {
      const [one, other] = [jobToDo(runner), jobToDo(runner)];
      expect(runner.outputKey(one)).toBe(runner.outputKey({ ...one }));
      expect(runner.outputKey(one)).not.toBe(runner.outputKey(other));
    });

    test("finds no end of a job that was never handed over", async () => {
      expect((await runner.look(jobToDo(runner), signal)).kind).toBe("absent");
    });

    test("brings a job to its result, in OpenAI's shape", async () => {
      const ended = await finish(jobToDo(runner, "tell me of the well"));
      if (ended.kind !== "done") throw new Error(JSON.stringify(ended));
      expect(textOf(ended.result)).toContain("tell me of the well");
    });

    test("brings a job that is handed over twice to one result", async () => {
      const job = jobToDo(runner, "twice");
      const [first, second] = [await finish(job), await finish({ ...job, attempt: 2, fence: 2 })];
      expect(first).toEqual(second);
      expect(first.kind).toBe("done");
    });

    test("asks for another time where the fault is not the job's, and takes it then", async () => {
      scene.break();
      const job = jobToDo(runner);
      const answer = await runner.submit(job, signal);
      expect(answer).toMatchObject({ kind: "again", why: expect.stringMatching(/\w/) });
      scene.mend();
      expect((await finish({ ...job, attempt: 2, fence: 2 })).kind).toBe("done");
    });

    test("says why a job failed for which there is no other time", async () => {
      scene.spoil();
      const ended = await finish(jobToDo(runner));
      expect(ended).toMatchObject({
        kind: "failed",
        error: { code: "upstream_failed", message: expect.stringContaining("too long for this model") },
      });
    });

    test("comes back at once when it is cut short, and never rejects", async () => {
      scene.silence();
      const cut = new AbortController();
      const answers = [runner.submit(jobToDo(runner), cut.signal), runner.look(jobToDo(runner), cut.signal)];
      cut.abort();
      const since = performance.now();
      for (const { kind } of await Promise.all(answers)) expect(["again", "absent"]).toContain(kind);
      expect(performance.now() - since).toBeLessThan(1000);
      expect((await runner.submit(jobToDo(runner), cut.signal)).kind).toBe("again");
    });

    test("says whether what it was handed goes on without this process, and has a margin where it does", () => {
      expect(runner.marginMs > 0).toBe(runner.outlives);
    });

    test("has a margin after the ttl, and leaves new jobs alone only for a while", () => {
      expect(runner.marginMs).toBeGreaterThanOrEqual(0);
      expect(runner.busyMs() ?? 0).toBeGreaterThanOrEqual(0);
    });
  });
}
