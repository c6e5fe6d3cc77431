// `bun run dev --once`: the tour with the real binary, on a machine where the usual port is taken; and Ctrl-C.

import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

const script = join(import.meta.dir, "../../playground/dev.ts");

let squatter: Bun.TCPSocketListener | undefined;
let output: string;
let exitCode: number | undefined;
let left: readonly string[];

/** Whatever is started inherits the mark, so that it can be found wherever it went. */
function startDev(mark: string) {
  return Bun.spawn([process.execPath, script, "--once"], {
    stdout: "pipe",
    stderr: "pipe",
    env: { ...process.env, DEV_TEST_MARK: mark },
  });
}

/** The command lines of the processes that bear it. */
function bearersOf(mark: string): string[] {
  return readdirSync("/proc").flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const bears = readFileSync(`/proc/${pid}/environ`, "utf8").includes(`DEV_TEST_MARK=${mark}`);
      return bears ? [readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ")] : [];
    } catch {
      // It ended meanwhile, or is somebody else's.
      return [];
    }
  });
}

beforeAll(async () => {
  try {
    squatter = Bun.listen({ hostname: "127.0.0.1", port: 8010, socket: { data() {} } });
  } catch {
    // Somebody else has it, which is as good.
  }
  // A machine that stands still for a second makes a step late that has a person's patience; it is not tried for ever.
  for (let turn = 0; turn < 3 && exitCode !== 0; turn += 1) {
    const mark = crypto.randomUUID();
    const child = startDev(mark);
    const [told, complained] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    output = told + complained;
    exitCode = await child.exited;
    left = bearersOf(mark);
  }
}, 240_000);

afterAll(() => squatter?.stop(true));

test("the tour ends well: every step went as it is told", () => {
  expect(output).not.toContain("This is not what should have happened");
  expect({ exitCode, output }).toMatchObject({ exitCode: 0 });
});

test("it says that a usual port is taken, and where each host listens instead", () => {
  expect(output).toContain("One of the usual ports");
  for (const host of ["gold-1", "gold-2", "silver-1"]) {
    expect(output).toMatch(new RegExp(`${host} +http://127\\.0\\.0\\.1:\\d+ +\\d+ +\\d+`));
  }
});

test("gold-1, which has no Silver, has it from its peer, and says why", () => {
  expect(output).toMatch(/way +silver .*peer silver-1\/vllm +because not-local/);
});

test("the fall-back is shown with its reason", () => {
  expect(output).toMatch(/way +silver .*because (fallback-from-gold|retry-after-\w+)/);
});

test("the guards are answered while both Gold engines hang", () => {
  expect(output).toMatch(/both hang +\d+\/s +p99 /);
  expect(output).not.toContain("no answer");
});

test("a killed host and a drained one cost no caller an answer", () => {
  expect(output.match(/callers +0 of \d+ failed/g)).toHaveLength(2);
  expect(output).toMatch(/status +! gold-2: suspect/);
});

test("a quest is accepted while no machine runs, and is there although the host that accepted it was killed", () => {
  const id = /202 +(job_gold-2_\w+), queued, .*\n +machines +0 at /.exec(output)?.[1];
  const there = `silver-1 +is asked for ${id}\\n +succeeded +"\\w+ .*"\\n +machines +1 at `;
  expect(output).toMatch(new RegExp(there));
});

test("no line of the tour is wider than a terminal of 80 columns", () => {
  expect(output.split("\n").filter((line) => line.length > 80)).toEqual([]);
});

test("it writes no colours into a pipe", () => {
  expect(output).not.toContain("\u001b");
});

test("nothing that it started is left", () => {
  expect(left).toEqual([]);
});

test("Ctrl-C in the middle of the tour ends everything that was started, as it should", async () => {
  const mark = crypto.randomUUID();
  const child = startDev(mark);
  let told = "";
  const decoder = new TextDecoder();
  for await (const bytes of child.stdout) {
    told += decoder.decode(bytes, { stream: true });
    if (told.includes("A guard decides")) break;
  }
  expect(bearersOf(mark).length).toBeGreaterThanOrEqual(7);
  child.kill("SIGINT");
  expect(await child.exited).toBe(0);
  expect(bearersOf(mark)).toEqual([]);
}, 30_000);
