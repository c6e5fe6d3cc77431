// Keeps what a bench found: a JSON file a run, and docs/benchmarks.md written anew from the newest of each kind.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { K6Summary } from "./page.ts";
import { figures, writePage } from "./page.ts";
import type { BenchKind, Results } from "./results.ts";
import { judge, verdictText } from "./verdict.ts";

const folder = resolve(import.meta.dir, "../results");
const page = resolve(import.meta.dir, "../../docs/benchmarks.md");

/** Prints the table and answers the exit code: 1 when a budget is breached. A quick run leaves no file. */
export function conclude(results: Results, quick: boolean): 0 | 1 {
  const verdicts = judge(results.samples);
  printTable(verdicts.map(verdictText));
  if (quick) console.log(`\n${figures(results).join("\n")}`);
  else {
    mkdirSync(folder, { recursive: true });
    const file = join(folder, `${results.date.slice(0, 10)}-${results.kind}.json`);
    writeFileSync(file, `${JSON.stringify(results, null, 1)}\n`);
    renewPage();
    console.log(`\nWritten: ${file}, ${page}`);
  }
  return verdicts.every(({ ok }) => ok) ? 0 : 1;
}

/** Writes the page anew from the files that lie there. */
function renewPage(): void {
  const kinds: readonly BenchKind[] = [
    "proxy",
    "intents",
    "result-cache",
    "hang",
    "hedge",
    "gossip",
    "bronze",
  ];
  const found = kinds.flatMap((kind) => newest<Results>(kind) ?? []);
  writeFileSync(page, writePage(found, newest<K6Summary>("k6")));
}

function newest<Kept>(kind: BenchKind | "k6"): Kept | undefined {
  const name = readdirSync(folder)
    .filter((each) => each.endsWith(`-${kind}.json`))
    .sort()
    .at(-1);
  return name === undefined ? undefined : (JSON.parse(readFileSync(join(folder, name), "utf8")) as Kept);
}

function printTable(rows: readonly (readonly string[])[]): void {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  for (const row of rows) console.log(row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join("  "));
}
