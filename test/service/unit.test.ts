// The unit file, as systemd itself judges it.

import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadConfig } from "../../src/config/load.ts";
import { needsTool } from "../support/needs-tool.ts";

const hasAnalyze = needsTool("systemd-analyze");
const unit = readFileSync(join(import.meta.dir, "../../systemd/tierline.service"), "utf8");
const dir = mkdtempSync(join(tmpdir(), "tierline-unit-"));
const copy = join(dir, "tierline.service");
// A unit is only good if its program is there.
writeFileSync(copy, unit.replace("/usr/local/bin/tierline", "/bin/true"));

afterAll(() => rmSync(dir, { recursive: true }));

function analyze(...args: readonly string[]): { readonly rc: number; readonly output: string } {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["systemd-analyze", "--no-pager", ...args, copy]);
  return { rc: exitCode, output: `${stdout}${stderr}` };
}

test.skipIf(!hasAnalyze)("systemd-analyze verify finds nothing to say about the unit", () => {
  // It ends with 0 over lines that it ignores, so its silence is what counts. What it says of other units is theirs.
  const { rc, output } = analyze("verify");
  expect(output.split("\n").filter((line) => line.includes("tierline"))).toEqual([]);
  expect(rc).toBe(0);
});

test.skipIf(!hasAnalyze)("systemd-analyze security finds an exposure of at most 2.0 of 10", () => {
  const { rc, output } = analyze("security", "--offline=true", "--threshold=20");
  expect(output).toContain("Overall exposure level for tierline.service");
  expect(rc).toBe(0);
});

test("the unit gives a drain 5 s more than its default deadline", () => {
  const loaded = loadConfig({ path: "empty.toml", env: {}, flags: {}, readFile: () => "" });
  if (!loaded.ok) throw new Error("an empty configuration is refused");
  expect(Number(setting("TimeoutStopSec")) * 1000).toBe(loaded.config.drain.deadlineMs + 5000);
});

test("the unit never forbids memory that is written and executed, which Bun's compiler needs", () => {
  expect(setting("MemoryDenyWriteExecute")).toBeUndefined();
});

/** The last value, as systemd takes it. */
function setting(name: string): string | undefined {
  const lines = unit.split("\n").filter((line) => line.startsWith(`${name}=`));
  return lines.at(-1)?.slice(name.length + 1);
}
