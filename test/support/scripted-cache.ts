// A cache that holds what a test gives it, for whoever speaks to CacheControl. It keeps no limits and forgets nothing
// by itself; what it was asked is in `asked`.

import type { CacheControl, CacheEntry, CacheSettings, CacheStats } from "../../src/base/cache-control.ts";

export interface ScriptedCache extends CacheControl {
  /** Each call that changes something, or pages, with what it was given. */
  readonly asked: unknown[];
}

export interface CacheScript {
  readonly entries?: readonly CacheEntry[];
  readonly stats?: Partial<CacheStats>;
  readonly settings?: Partial<CacheSettings>;
}

export function scriptedCache(script: CacheScript = {}): ScriptedCache {
  let entries = script.entries ?? [];
  let settings: CacheSettings = {
    enabled: true,
    maxEntries: 1000,
    maxBytes: 512_000_000,
    ttlMs: 60_000,
    ...script.settings,
  };
  const asked: unknown[] = [];
  return {
    asked,
    stats: () => ({
      enabled: settings.enabled,
      entries: entries.length,
      maxEntries: settings.maxEntries,
      bytes: entries.reduce((sum, { bytes }) => sum + bytes, 0),
      maxBytes: settings.maxBytes,
      peakBytes: 0,
      hits: 0,
      misses: 0,
      staleHits: 0,
      joins: 0,
      evictions: 0,
      expirations: 0,
      ...script.stats,
    }),
    settings: () => settings,
    configure(change) {
      asked.push({ configure: change });
      settings = { ...settings, ...change };
    },
    clear(which) {
      asked.push({ clear: which });
      const kept = entries.filter(({ key }) => which.prefix !== undefined && !key.startsWith(which.prefix));
      const cleared = entries.length - kept.length;
      entries = kept;
      return cleared;
    },
    entries(page) {
      asked.push({ entries: page });
      const fitting = entries.filter(({ key }) => key.startsWith(page.prefix ?? ""));
      const from = fitting.findIndex(({ key }) => key === page.after) + 1;
      const some = fitting.slice(from, from + page.limit);
      return { entries: some, next: from + page.limit < fitting.length ? some.at(-1)?.key : undefined };
    },
  };
}

/** An entry that nobody has asked for yet. */
export const cacheEntry = (key: string, more: Partial<CacheEntry> = {}): CacheEntry => ({
  key,
  bytes: 100,
  ageMs: 10,
  ttlMs: 990,
  hits: 0,
  lastHitMs: undefined,
  ...more,
});
