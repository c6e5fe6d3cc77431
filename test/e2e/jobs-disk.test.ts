// A disk that fails under the job file of the compiled binary: no new jobs, a reason, and players who notice nothing.

import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { jobFileName } from "../../src/jobs/job-file.ts";
import type { Bronze, JobAnswer } from "../support/bronze.ts";
import { folder, startBronze, tale } from "../support/bronze.ts";
import { chat, messages, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { measured } from "../support/measured.ts";
import { needsRight, needsTool } from "../support/needs-tool.ts";
import { openAiErrorOf, readOpenAiError } from "../support/openai-error.ts";
import { engineToml } from "../support/tierline.ts";

setDefaultTimeout(30_000);

const ends = cleanup();

const silver = async (): Promise<string> => {
  const engine = ends(await startSimulatedEngine({ model: "large", msPerToken: 1 }));
  return engineToml("silver", engine.url);
};

/** Chats that are asked while a disk is in trouble. */
const players = 10;

/** A chat is answered, and so is one that has just been tried as a job. */
async function expectPlayersServed({ router }: Pick<Bronze, "router">): Promise<void> {
  for (let n = 0; n < players; n += 1) {
    const answer = await chat(router.url, { model: "silver", messages, max_tokens: 2 });
    expect(answer.status).toBe(200);
    await answer.text();
  }
  const { status } = await fetch(`${router.url}/readyz`);
  expect(status).toBe(200);
}

function expectRefused({ status, headers, text }: JobAnswer, why: string): void {
  const { code, message } = readOpenAiError(text);
  expect([status, code, message]).toEqual([503, "job_store_unavailable", expect.stringContaining(why)]);
  expect(Number(headers.get("retry-after-ms"))).toBeGreaterThan(0);
}

/** /health says why and stays 200, and so do the metrics. */
async function expectTold({ router }: Pick<Bronze, "router">, why: string): Promise<void> {
  const health = await fetch(`${router.url}/health`);
  expect(health.status).toBe(200);
  expect(await health.json()).toMatchObject({ status: "ok", jobs: { store: expect.stringContaining(why) } });
  expect(await router.metric("tierline_jobs_store_available")).toBe(0);
}

const asRoot = ["unshare", "--user", "--map-root-user", "--mount"];

/** A command, with `script` before it in a world where it may mount. */
const behind = (script: string): string[] => [...asRoot, "sh", "-c", `${script} && exec "$@"`, "sh"];

/** What a router sees as its state directory, from outside its world. */
const stateOf = ({ router }: Pick<Bronze, "router">): string =>
  `/proc/${router.pid}/root${join(router.dir, "state")}`;

/** A write beyond the first byte of a file fails, as one to a broken device does; or no longer. */
function breakWrites({ router }: Pick<Bronze, "router">, broken: boolean): void {
  const ran = Bun.spawnSync([
    "prlimit",
    "--pid",
    `${router.pid}`,
    `--fsize=${broken ? "1" : "unlimited"}:unlimited`,
  ]);
  if (!ran.success) throw new Error(ran.stderr.toString());
}

/** On a disk of its own, of two megabytes. */
async function onSmallDisk(): Promise<Bronze> {
  const { dir } = ends(folder());
  const state = join(dir, "state");
  mkdirSync(state);
  const mount = `mount -t tmpfs -o size=2m none ${state}`;
  return startBronze(ends, { dir, config: await silver(), behind: behind(mount) });
}

const mayMount = (): string | undefined => {
  if (!needsTool("unshare") || !needsTool("nsenter")) return "there are no tools for it here";
  const tried = Bun.spawnSync([...asRoot, "sh", "-c", "mount -t tmpfs none /mnt"]);
  return tried.success ? undefined : "nobody may mount a file system here";
};

describe.skipIf(!needsRight(mayMount()))("a disk", () => {
  test("that is full has new jobs refused until there is room, and those of before are kept and end (fault 37)", async () => {
    const stage = await onSmallDisk();
    const { aws, jobs } = stage;
    aws.fault({ kind: "late-output", delayMs: 1500 });
    const id = await jobs.placed();
    await until("it is handed over", async () => (await jobs.get(id)).job["status"] === "running");
    const ballast = join(stateOf(stage), "ballast");
    let bytes = 2 ** 21;
    for (; bytes > 0; bytes -= 4096) {
      try {
        writeFileSync(ballast, Buffer.alloc(bytes));
        break;
      } catch {
        rmSync(ballast, { force: true });
      }
    }
    expect(bytes).toBeGreaterThan(0);
    let refused = await jobs.order({ ...tale(), filling: "x".repeat(100_000) });
    for (let n = 0; n < 20 && refused.status === 202; n += 1) refused = await jobs.order();
    expectRefused(refused, "disk under the job file is full");
    await expectPlayersServed(stage);
    await expectTold(stage, "is full");
    expect((await jobs.get(id)).status).toBe(200);
    rmSync(ballast);
    const next = await jobs.placed();
    for (const each of [id, next]) expect((await jobs.get(each, 25)).job["status"]).toBe("succeeded");
    expect(await stage.router.metric("tierline_jobs_store_available")).toBe(1);
    measured(37, `full: orders 503 with the reason, 0 of ${players} chats failed, 0 jobs lost`);
  });

  test("that lets the job file only be read has all jobs refused from the start, and the router starts all the same (fault 37)", async () => {
    const first = await startBronze(ends, { config: await silver() });
    const id = await first.jobs.placed();
    const shown = await first.jobs.get(id, 20);
    await first.router.stop();
    const file = join(first.router.dir, "state", jobFileName);
    const closed = await first.again({
      behind: behind(`mount --bind ${file} ${file} && mount -o remount,bind,ro ${file}`),
    });
    expectRefused(await closed.jobs.order(), "cannot be written");
    expectRefused(await closed.jobs.get(id), "cannot be written");
    expectRefused(await closed.jobs.list(), "cannot be written");
    const async = await chat(closed.router.url, { ...tale(), model: "bronze" });
    expect([async.status, (await openAiErrorOf(async)).code]).toEqual([503, "job_store_unavailable"]);
    await expectPlayersServed(closed);
    await expectTold(closed, "cannot be written");
    await closed.router.stop();
    const next = await first.again();
    expect((await next.jobs.get(id)).text).toBe(shown.text);
    measured(37, `read-only: the same, and it starts; 0 of ${players} chats failed`);
  });
});

test.skipIf(!needsTool("prlimit"))(
  "a disk that breaks has new jobs refused and the old ones shown, and they end when it can be written again (fault 37)",
  async () => {
    const stage = await startBronze(ends, {
      config: await silver(),
      behind: ["sh", "-c", `trap '' XFSZ; exec "$@"`, "sh"],
    });
    const { aws, jobs, router } = stage;
    const done = await jobs.placed();
    const shown = await jobs.get(done, 20);
    aws.fault({ kind: "late-output", delayMs: 500 });
    const id = await jobs.placed();
    await until("it is handed over", async () => (await jobs.get(id)).job["status"] === "running");
    breakWrites(stage, true);
    expectRefused(await jobs.order(), "reports errors");
    await expectPlayersServed(stage);
    expect((await jobs.get(done)).text).toBe(shown.text);
    await router.logged(({ trouble }) => trouble === "device");
    expect((await jobs.get(id)).job["status"]).toBe("running");
    await expectTold(stage, "reports errors");
    breakWrites(stage, false);
    expect((await jobs.get(id, 25)).job["status"]).toBe("succeeded");
    await jobs.placed();
    expect(await router.metric("tierline_jobs_store_available")).toBe(1);
    measured(37, `EIO: the same; 0 of ${players} chats failed, 0 jobs lost`);
  },
);

describe("a job file", () => {
  test("that is damaged is set aside at the next start, which says so and takes new jobs (fault 38)", async () => {
    const stage = await startBronze(ends, { config: await silver() });
    const id = await stage.jobs.placed();
    await stage.jobs.get(id, 20);
    await stage.router.stop();
    const file = join(stage.router.dir, "state", jobFileName);
    writeFileSync(file, Buffer.alloc(20_000, "not a database "));
    const next = await stage.again();
    const line = await next.router.logged(({ file }) => String(file).endsWith(`${jobFileName}.set-aside`));
    expect(line["level"]).toBe("error");
    expect(existsSync(`${file}.set-aside`)).toBe(true);
    const gone = await next.jobs.get(id);
    expect([gone.status, readOpenAiError(gone.text).code]).toEqual([404, "job_not_found"]);
    expect((await next.jobs.get(await next.jobs.placed(), 20)).job["status"]).toBe("succeeded");
    await expectPlayersServed(next);
    measured(38, `set aside, and the next order succeeded; 0 of ${players} chats failed`);
  });
});
