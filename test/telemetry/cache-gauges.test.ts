// The figures of a cache, as Prometheus reads them.

import { expect, test } from "bun:test";
import { createTtlLru } from "../../src/base/ttl-lru.ts";
import { registerCacheGauges } from "../../src/telemetry/cache-gauges.ts";
import { createRegistry } from "../../src/telemetry/registry.ts";

test("each cache has its hits, misses and evictions as counters, its bytes and entries as gauges", () => {
  const registry = createRegistry();
  const cache = createTtlLru<string>({ enabled: true, maxEntries: 1, maxBytes: 100, ttlMs: 1000 }, () => 0);
  registerCacheGauges(registry, { results: cache });
  cache.keep("a", "A", 10);
  cache.keep("b", "B", 20);
  cache.find("b");
  cache.missed();
  cache.missed();
  const text = registry.expose();
  for (const line of [
    "# TYPE tierline_cache_hits_total counter",
    'tierline_cache_hits_total{cache="results"} 1',
    'tierline_cache_misses_total{cache="results"} 2',
    'tierline_cache_evictions_total{cache="results"} 1',
    "# TYPE tierline_cache_bytes gauge",
    'tierline_cache_bytes{cache="results"} 20',
    'tierline_cache_entries{cache="results"} 1',
  ]) {
    expect(text.split("\n")).toContain(line);
  }
});
