// Keeps what a game night found: the figures in bench/results, the page and the chart in docs.

import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { chart } from "./chart.ts";
import { page } from "./page.ts";
import type { GameNight } from "./results.ts";

const root = resolve(import.meta.dir, "../..");

/** All into one folder, where one is named; else only what is whole: both runs of the long form. Answers what was written. */
export function keepNight(night: GameNight, into: string | undefined): readonly string[] {
  if (into === undefined && (night.short || !night.tierline || !night.haproxy)) return [];
  const results = into ?? join(root, "bench/results");
  const docs = into ?? join(root, "docs");
  for (const folder of [results, docs]) mkdirSync(folder, { recursive: true });
  const files = {
    [join(results, `${night.date.slice(0, 10)}-game-night.json`)]: `${JSON.stringify(night, null, 1)}\n`,
    [join(docs, "game-night.svg")]: chart(night),
    [join(docs, "game-night.md")]: page(night),
  };
  for (const [path, text] of Object.entries(files)) writeFileSync(path, text);
  return Object.keys(files);
}
