import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const main = new URL("../../src/main.ts", import.meta.url).pathname;

/** The real program as a process, in a folder without a configuration. */
async function spawn(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const child = Bun.spawn([process.execPath, main, ...args], {
    cwd: import.meta.dir,
    env: { PATH: process.env["PATH"] ?? "", ...env },
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, exit] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return { out, err, exit };
}

test.each([
  [["version"], 0],
  [[], 2],
  [["explain", "--sla", "fast"], 64],
  [["drain", "--admin", "http://127.0.0.1:1"], 1],
  [["check-config", "/no/such/file.toml"], 78],
] as const)("tierline %p exits with %d", async (args, exit) => {
  expect(await spawn(args)).toMatchObject({ exit });
});

test("tierline writes all of its output into a pipe before it leaves", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tierline-"));
  try {
    // More than a pipe holds, so that an early exit would cut it.
    const origins = Array.from({ length: 10_000 }, (_, index) => `http://origin-${index}.example`);
    const file = join(folder, "tierline.toml");
    writeFileSync(file, `[cors]\norigins = ${JSON.stringify(origins)}\n`);
    // A shell's pipe, because a spawned process gets a socket that takes more.
    const child = Bun.spawn([
      "sh",
      "-c",
      '"$0" "$1" print-config --config "$2" | cat',
      process.execPath,
      main,
      file,
    ]);
    const out = await child.stdout.text();
    expect(out.length).toBeGreaterThan(250_000);
    expect(out).toEndWith("deadline_ms = 8000 # default\n");
  } finally {
    rmSync(folder, { recursive: true });
  }
});
