// One router to a directory, and files that are whole or not there.

import { afterEach, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StateDir } from "../../src/host/state-dir.ts";
import { openStateDir } from "../../src/host/state-dir.ts";

const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

function place(): string {
  const dir = mkdtempSync(join(tmpdir(), "tierline-state-"));
  cleanups.push(() => rmSync(dir, { recursive: true, force: true }));
  return join(dir, "state");
}

function opened(dir: string): StateDir {
  const result = openStateDir(dir);
  if (!result.ok) throw new Error(result.message);
  return result.state;
}

function refusal(dir: string): string | undefined {
  const result = openStateDir(dir);
  return result.ok ? undefined : result.message;
}

/** A process of its own that holds the directory until it is killed. */
async function otherRouter(dir: string): Promise<{ readonly pid: number; kill(): Promise<unknown> }> {
  const source = join(import.meta.dir, "../../src/host/state-dir.ts");
  const script = `
    import { openStateDir } from ${JSON.stringify(source)};
    console.log(openStateDir(${JSON.stringify(dir)}).ok);
    setInterval(() => {}, 1000);`;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe" });
  const kill = (): Promise<unknown> => {
    child.kill("SIGKILL");
    return child.exited;
  };
  cleanups.push(() => void kill());
  const { value } = await child.stdout.getReader().read();
  expect(new TextDecoder().decode(value)).toBe("true\n");
  return { pid: child.pid, kill };
}

describe("openStateDir", () => {
  test("creates the directory, its parents too, for this user only", () => {
    const dir = join(place(), "deep", "er");
    const state = opened(dir);
    expect(statSync(dir).mode & 0o777).toBe(0o700);
    state.close();
  });

  test("refuses a second router, naming the process that has it", () => {
    const dir = place();
    const state = opened(dir);
    expect(refusal(dir)).toBe(
      `Another router (process ${process.pid}) already uses the state.dir ${dir}. ` +
        "Stop it, or give this router a state.dir of its own.",
    );
    state.close();
  });

  test("lets the next router in once the first has closed it", () => {
    const dir = place();
    opened(dir).close();
    expect(refusal(dir)).toBeUndefined();
  });

  test("lets the next router in at once when the first was killed with -9", async () => {
    const dir = place();
    const other = await otherRouter(dir);
    expect(refusal(dir)).toContain(`(process ${other.pid})`);
    await other.kill();
    expect(refusal(dir)).toBeUndefined();
  });

  test("does not leave the lock to the children of its process", async () => {
    const dir = place();
    const state = opened(dir);
    // Bun.spawn may return before the child runs its program, which is when it lets go of our files.
    const child = Bun.spawn(["sh", "-c", "echo runs; exec sleep 30"], { stdout: "pipe" });
    await child.stdout.getReader().read();
    state.close();
    expect(refusal(dir)).toBeUndefined();
    child.kill();
    await child.exited;
  });

  test("says what is wrong with a directory that cannot be one", () => {
    const dir = place();
    writeFileSync(dir, "");
    expect(refusal(dir)).toStartWith(`Cannot use ${dir} as state.dir: `);
    expect(refusal(join(dir, "below"))).toBe(
      `Cannot use ${join(dir, "below")} as state.dir: a part of the path is a file. ` +
        "Make it a directory that this user may write, or set another state.dir.",
    );
    expect(refusal("/proc/tierline")).toStartWith("Cannot use /proc/tierline as state.dir: ");
  });
});

describe("a state directory", () => {
  test("writes a file whole, replaces it, and leaves nothing else behind", async () => {
    const dir = place();
    const state = opened(dir);
    expect(await state.writeFile("admin.url", "http://127.0.0.1:1\n")).toEqual({ ok: true });
    expect(await state.writeFile("admin.url", "b\n")).toEqual({ ok: true });
    expect(readFileSync(join(dir, "admin.url"), "utf8")).toBe("b\n");
    expect(statSync(join(dir, "admin.url")).mode & 0o777).toBe(0o600);
    expect(readdirSync(dir).sort()).toEqual(["admin.url", "lock"]);
    state.close();
  });

  test("keeps the old file and says why when the new one cannot be written", async () => {
    const dir = place();
    const state = opened(dir);
    await state.writeFile("a", "old");
    // A directory in the way of the unfinished file refuses root too, which permissions would not.
    mkdirSync(join(dir, "a.unfinished"));
    const written = await state.writeFile("a", "new");
    expect(written).toMatchObject({ ok: false, message: expect.stringContaining(join(dir, "a")) });
    expect(readFileSync(join(dir, "a"), "utf8")).toBe("old");
    state.close();
  });

  test("removes a file, and does not mind that it is gone", async () => {
    const dir = place();
    const state = opened(dir);
    await state.writeFile("a", "x");
    expect([state.remove("a"), state.remove("a")]).toEqual([{ ok: true }, { ok: true }]);
    expect(readdirSync(dir)).toEqual(["lock"]);
    // A folder refuses root too, which permissions would not.
    mkdirSync(join(dir, "a"));
    expect(state.remove("a")).toMatchObject({ ok: false, message: expect.stringContaining("Cannot remove") });
    state.close();
  });

  test("keeps the old file when the writer is stopped before the end", async () => {
    const dir = place();
    const state = opened(dir);
    await state.writeFile("a", "old");
    const stop = new AbortController();
    const writing = state.writeFile("a", new Uint8Array(100), stop.signal);
    stop.abort();
    expect(await writing).toMatchObject({ ok: false, message: expect.stringContaining("took too long") });
    expect(readFileSync(join(dir, "a"), "utf8")).toBe("old");
    state.close();
  });

  test("reads a file's bytes back, up to a size, and says why not", async () => {
    const dir = place();
    const state = opened(dir);
    await state.writeFile("a", new Uint8Array([1, 2, 255]));
    expect(await state.readFile("a", 3)).toEqual({ ok: true, bytes: Buffer.from([1, 2, 255]) });
    expect(await state.readFile("a", 2)).toEqual({ ok: false, why: "too-large" });
    expect(await state.readFile("b", 3)).toEqual({ ok: false, why: "missing" });
    mkdirSync(join(dir, "c"));
    expect(await state.readFile("c", 10_000)).toEqual({
      ok: false,
      why: "unreadable",
      message: `Cannot read ${join(dir, "c")}: it is a folder.`,
    });
    state.close();
  });

  test("does not wait for ever on a pipe that has the name of a file", async () => {
    const dir = place();
    const state = opened(dir);
    Bun.spawnSync(["mkfifo", join(dir, "caches")]);
    expect(await state.readFile("caches", 100)).toMatchObject({ ok: false, why: "unreadable" });
    state.close();
  });

  test("sets a file aside, and keeps only the last one", async () => {
    const dir = place();
    const state = opened(dir);
    await state.writeFile("a", "first");
    expect(state.setAside("a")).toEqual({ ok: true });
    await state.writeFile("a", "second");
    expect(state.setAside("a")).toEqual({ ok: true });
    expect(readdirSync(dir).sort()).toEqual(["a.set-aside", "lock"]);
    expect(readFileSync(join(dir, "a.set-aside"), "utf8")).toBe("second");
    expect(state.setAside("a")).toMatchObject({ ok: false });
    state.close();
  });
});
