// Keeps the figures of the last long run of each scenario, and writes docs/simulation.md from them.

import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";

/** What is promised of one figure. */
export interface Target {
  readonly of: "median" | "p99" | "worst";
  readonly most: number;
}

export interface Row {
  readonly title: string;
  readonly target?: Target | undefined;
  readonly seeds: number;
  /** Null in the file, and infinite before: it never came. */
  readonly median: number | null;
  readonly p99: number | null;
  readonly worst: number | null;
  readonly worstSeed?: number | undefined;
}

const file = resolve(import.meta.dir, "../../bench/results/simulation.json");
const page = resolve(import.meta.dir, "../../docs/simulation.md");

export function keep(figures: readonly Row[]): void {
  const rows = new Map(read().map((row) => [row.title, row]));
  for (const { title, target, seeds, median, p99, worst, worstSeed } of figures)
    rows.set(title, {
      title,
      target,
      seeds,
      median: known(median),
      p99: known(p99),
      worst: known(worst),
      worstSeed,
    });
  const all = [...rows.values()];
  writeFileSync(file, `${JSON.stringify(all, null, 1)}\n`);
  writeFileSync(page, text(all));
}

const read = (): readonly Row[] => (existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : []);
const known = (value: number | null): number | null => {
  if (value === null || !Number.isFinite(value)) return null;
  return value < 100 ? Math.round(value * 100) / 100 : Math.round(value);
};

function text(rows: readonly Row[]): string {
  return [
    "# Fleets in simulation",
    "",
    "Written by `bun run simulate`. Do not edit. The real code of `src/cluster`, `src/fleet` and `src/routing`, whole fleets in",
    "one process and in virtual time, on a network that loses, delays and repeats. One seed is one run, and plays again",
    "exactly; how many there were stands beside each figure, as large fleets take seconds a seed. Where a figure is taken of",
    "each member, the percentiles are over all of them.",
    "",
    ...table(
      "With a target",
      rows.filter(({ target }) => target !== undefined),
    ),
    "",
    ...table(
      "Without",
      rows.filter(({ target }) => target === undefined),
    ),
    "",
  ].join("\n");
}

const table = (title: string, rows: readonly Row[]): string[] => [
  `## ${title}`,
  "",
  "| what | target | median | p99 | worst | | seeds |",
  "|-|-|-|-|-|-|-|",
  ...rows.map((row) => {
    const { target, median, p99, worst, worstSeed, seeds } = row;
    const judged = target && row[target.of];
    const met =
      target === undefined
        ? ""
        : judged !== null && judged !== undefined && judged <= target.most
          ? "met"
          : "MISSED";
    const goal = target === undefined ? "" : `${target.of} ≤ ${show(target.most)}`;
    const worstCell = `${show(worst)}${seeds > 1 ? ` (seed ${worstSeed})` : ""}`;
    return `| ${row.title} | ${goal} | ${show(median)} | ${show(p99)} | ${worstCell} | ${met} | ${show(seeds)} |`;
  }),
];

const show = (value: number | null): string => (value === null ? "never" : value.toLocaleString("en-US"));
