// The compiled binary itself: what it knows of its making, and what it must not pick up on the way.

import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import packageJson from "../../package.json";

const root = join(import.meta.dir, "../..");
const dir = mkdtempSync(join(tmpdir(), "tierline-binary-"));
afterAll(() => rmSync(dir, { recursive: true }));

function tierline(...args: readonly string[]): string {
  const binary = join(root, "dist/tierline");
  const { stdout, exitCode } = Bun.spawnSync([binary, ...args], { cwd: dir, env: {} });
  expect(exitCode).toBe(0);
  return stdout.toString();
}

test("a second build of the same sources does nothing", () => {
  const build = (): string =>
    Bun.spawnSync([process.execPath, "scripts/build.ts"], { cwd: root }).stdout.toString();
  build();
  expect(build()).toBe("dist/tierline is up to date\n");
});

test("the binary knows the version of its package and the Bun that is pinned", () => {
  expect(JSON.parse(tierline("version", "--json"))).toMatchObject({
    version: packageJson.version,
    bun: Bun.version,
    target: expect.stringMatching(/^bun-/),
  });
});

test("the binary takes nothing from an .env file or a bunfig.toml where it is started", () => {
  const before = tierline("print-config", "--effective");
  writeFileSync(join(dir, ".env"), "TIERLINE_LOG_LEVEL=debug\n");
  writeFileSync(join(dir, "preloaded.ts"), 'process.env["TIERLINE_LOG_LEVEL"] = "debug";\n');
  writeFileSync(join(dir, "bunfig.toml"), 'preload = ["./preloaded.ts"]\n');
  expect(tierline("print-config", "--effective")).toBe(before);
  expect(before).not.toContain('level = "debug"');
});
