// `bun run fuzz [TARGET|all] [CASES] [SEED]`: the long run over every parser of ours, ten million cases by default, in
// several processes. With `--keep` what went as nothing before it is added to the corpus. A finding is printed with all
// that is needed to see it again, and the exit status is 1.

import { cpus } from "node:os";
import { parseArgs } from "node:util";
import type { Fuzzed } from "./fuzz-target.ts";
import { fuzzTarget, keep } from "./fuzz-target.ts";
import { shares, targets } from "./targets.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    keep: { type: "boolean", default: false },
    workers: { type: "string", default: String(Math.max(1, cpus().length >> 1)) },
    /** One part, in this process: for the run that started it. */
    part: { type: "boolean", default: false },
  },
});
const [name = "all", casesText = "10000000", seedText = String(Date.now() % 2 ** 31)] = positionals;
const cases = Number(casesText);
const seed = Number(seedText);
const chosen =
  name === "all"
    ? shares(cases)
    : targets.filter(({ target }) => target.name === name).map(({ target }) => ({ target, cases }));
if (chosen.length === 0 || !(cases >= 1) || !Number.isSafeInteger(seed)) {
  console.error(
    `bun run fuzz [TARGET] [CASES] [SEED]; targets: all, ${targets.map(({ target }) => target.name).join(", ")}`,
  );
  process.exit(64);
}

/** Of one process: then its memory is judged, and another takes over. */
const partCases = 500_000;
/** More than a process may grow by over its part. */
const grownMost = 400e6;

interface Part extends Pick<Fuzzed, "cases" | "ways"> {
  readonly why?: string;
  readonly input?: string;
  readonly found: readonly string[];
  readonly grown: number;
}

if (values.part) runPart();
else process.exitCode = await runAll();

function runPart(): void {
  const [share] = chosen;
  if (share === undefined) return;
  // What is made once is not what grows.
  fuzzTarget(share.target, { cases: 2_000, seed });
  Bun.gc(true);
  const before = process.memoryUsage().rss;
  const { cases, ways, finding, found } = fuzzTarget(share.target, { cases: share.cases, seed });
  Bun.gc(true);
  const part: Part = {
    cases,
    ways,
    found: found.map((input) => Buffer.from(input).toString("base64")),
    grown: process.memoryUsage().rss - before,
    ...(finding !== undefined && { why: finding.why, input: Buffer.from(finding.input).toString("base64") }),
  };
  process.stdout.write(JSON.stringify(part));
}

async function runAll(): Promise<number> {
  console.log(`seed ${seed}, ${cases} cases, ${values.workers} processes`);
  const began = performance.now();
  const parts = chosen.flatMap(({ target, cases: all }) =>
    Array.from({ length: Math.ceil(all / partCases) }, (_, index) => ({
      target,
      cases: Math.min(partCases, all - index * partCases),
      seed: seed + index,
    })),
  );
  const sums = new Map(
    chosen.map(({ target }) => [target, { cases: 0, ways: 0, found: [] as Uint8Array[] }]),
  );
  let findings = 0;
  const worker = async (): Promise<void> => {
    for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
      const { target, seed: own } = part;
      const child = Bun.spawn(
        [process.execPath, import.meta.path, target.name, String(part.cases), String(own), "--part"],
        { stdout: "pipe", stderr: "inherit", stdin: "ignore" },
      );
      const text = await new Response(child.stdout).text();
      if ((await child.exited) !== 0 || text === "") {
        findings += 1;
        console.log(`FOUND  ${target.name}: its process died (seed ${own})`);
        continue;
      }
      const done: Part = JSON.parse(text);
      const sum = sums.get(target);
      if (sum === undefined) continue;
      sum.cases += done.cases;
      sum.ways = Math.max(sum.ways, done.ways);
      sum.found.push(...done.found.map((input) => Uint8Array.from(Buffer.from(input, "base64"))));
      if (done.grown > grownMost) {
        findings += 1;
        console.log(`FOUND  ${target.name}: memory grew by ${Math.round(done.grown / 1e6)} MB (seed ${own})`);
      }
      if (done.why === undefined) continue;
      findings += 1;
      console.log(`FOUND  ${target.name} (seed ${own}): ${done.why}\n       base64 ${done.input}`);
    }
  };
  await Promise.all(Array.from({ length: Number(values.workers) }, worker));
  let all = 0;
  for (const [target, sum] of sums) {
    all += sum.cases;
    const kept = values.keep ? `, ${keep(target, sum.found)} in the corpus` : "";
    console.log(`${target.name.padEnd(18)} ${String(sum.cases).padStart(9)} cases, ${sum.ways} ways${kept}`);
  }
  const seconds = (performance.now() - began) / 1000;
  console.log(
    `${all} cases in ${Math.round(seconds)} s, ${Math.round(all / seconds)}/s; ${findings} findings`,
  );
  return findings === 0 ? 0 : 1;
}
