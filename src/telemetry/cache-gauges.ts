// Figures about the caches, read from each when somebody asks for the metrics.

import type { CacheControl, CacheStats } from "../base/cache-control.ts";
import type { Registry } from "./registry.ts";

interface Row {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  read(stats: CacheStats): number;
}

const rows: readonly Row[] = [
  {
    name: "tierline_cache_hits_total",
    help: "Answers from the cache, stale ones included.",
    type: "counter",
    read: ({ hits }) => hits,
  },
  {
    name: "tierline_cache_misses_total",
    help: "Questions that could have been answered from the cache and were not.",
    type: "counter",
    read: ({ misses }) => misses,
  },
  {
    name: "tierline_cache_evictions_total",
    help: "Entries that went because of a limit.",
    type: "counter",
    read: ({ evictions }) => evictions,
  },
  {
    name: "tierline_cache_bytes",
    help: "What the entries weigh.",
    type: "gauge",
    read: ({ bytes }) => bytes,
  },
  {
    name: "tierline_cache_entries",
    help: "Entries in the cache.",
    type: "gauge",
    read: ({ entries }) => entries,
  },
];

/** `caches`: by the value of the label. */
export function registerCacheGauges(
  registry: Registry,
  caches: Readonly<Record<string, CacheControl>>,
): void {
  for (const { name, help, type, read } of rows) {
    const collect = (set: (value: number, cache: string) => void): void => {
      for (const [cache, control] of Object.entries(caches)) set(read(control.stats()), cache);
    };
    registry.gauge(name, help, ["cache"], collect, type);
  }
}
