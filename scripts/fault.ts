// Runs fault scenarios and says what they measured: `bun run fault` lists them, `bun run fault 14 16` runs those, and
// `bun run fault all` runs every one and writes docs/reliability.md; `bun run fault fallen` runs those again that fell short
// in that run, and the page says so. With TIERLINE_LONG=1 they last as long as in earnest.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir, totalmem } from "node:os";
import { join } from "node:path";
import type { Fault } from "../test/faults/faults.ts";
import { faults } from "../test/faults/faults.ts";
import type { FaultRun, LastRun } from "../test/faults/reliability-page.ts";
import { lastRunFile, reliabilityFile, reliabilityPage } from "../test/faults/reliability-page.ts";
import { filesOf, titleMark } from "../test/faults/scenario-files.ts";
import type { Measurement } from "../test/support/measured.ts";
import { measuredInto } from "../test/support/measured.ts";

const asked = process.argv.slice(2);
const before: LastRun | undefined =
  asked[0] === "fallen" ? JSON.parse(readFileSync(lastRunFile, "utf8")) : undefined;
const fallen = before?.runs.filter(({ held }) => !held).map(({ number }) => String(number)) ?? asked;
const chosen = asked[0] === "all" ? faults : faults.filter(({ number }) => fallen.includes(String(number)));
if (chosen.length === 0) {
  for (const { number, fault } of faults) console.log(`${String(number).padStart(2)}  ${fault}`);
  if (asked.length > 0)
    console.error(`There is no fault ${asked.join(", ")}; say numbers from 1 to ${faults.length}, or all.`);
  process.exit(asked.length > 0 ? 64 : 0);
}

const runs: (FaultRun & { readonly output: string })[] = [];
for (const fault of chosen) {
  const run = await runScenario(fault);
  runs.push(run);
  console.log(
    `${run.held ? "held" : "FELL SHORT"}  ${fault.number}  ${fault.fault} (${Math.round(run.seconds)} s)`,
  );
  for (const figure of run.figures) console.log(`      ${figure}`);
  if (!run.held) console.log(run.output);
}
if (before !== undefined) {
  const again = (run: FaultRun): FaultRun => {
    const second = runs.find(({ number }) => number === run.number);
    if (second === undefined) return run;
    const { output: _, ...found } = second;
    return { ...found, again: true };
  };
  write({ ...before, runs: before.runs.map(again) });
}
if (asked[0] === "all") {
  const last: LastRun = {
    day: new Date().toISOString().slice(0, 10),
    revision: text(["git", "rev-parse", "--short", "HEAD"]),
    machine: `${cpus().length} cores of ${cpus()[0]?.model.trim() ?? "an unknown kind"}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${text(["uname", "-r"])}`,
    long: process.env["TIERLINE_LONG"] === "1",
    runs: runs.map(({ output: _, ...run }) => run),
  };
  write(last);
}
process.exit(runs.every(({ held }) => held) ? 0 : 1);

function write(last: LastRun): void {
  writeFileSync(lastRunFile, `${JSON.stringify(last, undefined, 2)}\n`);
  writeFileSync(reliabilityFile, reliabilityPage(last));
}

async function runScenario({ number }: Fault): Promise<FaultRun & { readonly output: string }> {
  const files = filesOf(number);
  const dir = mkdtempSync(join(tmpdir(), "tierline-fault-"));
  const into = join(dir, "measured.jsonl");
  writeFileSync(into, "");
  const began = performance.now();
  try {
    if (files.length === 0)
      return { number, held: false, seconds: 0, figures: [], output: "no test has it in its title" };
    const child = Bun.spawn(
      [process.execPath, "test", "--timeout", "30000", ...files, "-t", titleMark(number).source],
      {
        env: { ...process.env, [measuredInto]: into },
        stdin: "ignore",
        stdout: "pipe",
        stderr: "pipe",
      },
    );
    const [out, errors, exit] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
      child.exited,
    ]);
    const lines = readFileSync(into, "utf8")
      .split("\n")
      .filter((line) => line !== "");
    const figures = lines
      .map((line): Measurement => JSON.parse(line))
      .filter((each) => each.fault === number)
      .map(({ figure }) => figure);
    const seconds = (performance.now() - began) / 1000;
    // A test that was skipped has measured nothing.
    return { number, held: exit === 0 && figures.length > 0, seconds, figures, output: out + errors };
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function text(command: string[]): string {
  return Bun.spawnSync(command).stdout.toString().trim();
}
