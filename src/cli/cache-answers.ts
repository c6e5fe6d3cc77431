// What the cache API answers, as `tierline cache` checks it, and as tables for people.

import { z } from "zod";
import type { CacheName } from "../base/cache-control.ts";
import { bytesText, countText, durationText, shareText, table } from "./table.ts";

/** A row of figures for each cache. Which ones there are, the router knows, and their names tell the units. */
const row = z.record(z.string(), z.union([z.number(), z.boolean()]));
export const figures = z.looseObject({ intents: row, results: row });
type Figures = z.output<typeof figures>;

/** `told`: the peers that hear of it. A router of the version before says nothing of them, and tells none. */
export const cleared = z.looseObject({ cleared: z.number(), told: z.number().default(0) });

export function clearedText({ cleared: count, told }: z.output<typeof cleared>): string {
  const here = `Cleared ${countText(count)} ${count === 1 ? "entry" : "entries"}`;
  return told === 0
    ? `${here}.\n`
    : `${here} here; told ${countText(told)} ${told === 1 ? "peer" : "peers"}.\n`;
}

export const page = z.looseObject({
  data: z.array(
    z.looseObject({
      key: z.string(),
      bytes: z.number(),
      age_ms: z.number(),
      ttl_ms: z.number(),
      hits: z.number(),
      last_hit_ms: z.number().nullable(),
    }),
  ),
  next: z.string().nullable(),
});

/** A line for each figure, a column for each cache. */
export const figuresTable = (shown: readonly CacheName[], caches: Figures): string =>
  table([
    ["", ...shown],
    ...Object.keys(caches.intents).map((name) => [
      name,
      ...shown.map((cache) => figureText(name, caches[cache][name])),
    ]),
  ]);

function figureText(name: string, figure: number | boolean | undefined): string {
  if (figure === undefined) return "";
  if (typeof figure === "boolean") return figure ? "yes" : "no";
  if (name.endsWith("bytes")) return bytesText(figure);
  return name.endsWith("rate") ? shareText(figure) : countText(figure);
}

/** A line for each entry, and how to go on. */
export function pageTable({ data, next }: z.output<typeof page>): string {
  if (data.length === 0) return "No entries.\n";
  const rows = data.map((entry) => [
    entry.key,
    bytesText(entry.bytes),
    durationText(entry.age_ms),
    entry.ttl_ms === 0 ? "stale" : durationText(entry.ttl_ms),
    countText(entry.hits),
    entry.last_hit_ms === null ? "never" : `${durationText(entry.last_hit_ms)} ago`,
  ]);
  const more = next === null ? "" : `More behind this: --after ${next}\n`;
  return table([["key", "bytes", "age", "fresh for", "hits", "last hit"], ...rows]) + more;
}
