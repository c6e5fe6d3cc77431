// A cache with strings for keys: the least recently used entry goes first, each goes when its time is over, and neither
// their count nor their bytes exceed the limits, ever. What an entry weighs is the owner's to say.

import type { CacheControl, CacheEntry, CacheSettings, CacheStats } from "./cache-control.ts";
import type { Instant } from "./clock.ts";
import { cursorText, useBelow } from "./page-cursor.ts";

const ttlLruRule = {
  /** A sweep for expired entries looks at no more than so many for each one kept since the last. */
  sweepShare: 8,
} as const;

export interface TtlLru<V> extends CacheControl {
  /**
   * Counts a hit where there is one that `holds`; what its absence means only the asker knows: `missed` or `joined`. One
   * that does not hold stays until it is replaced, for it may hold again.
   */
  find(key: string, holds?: (value: V) => boolean): Found<V> | undefined;
  missed(): void;
  /** The asker waits for an answer that another has asked for. */
  joined(): void;
  /** Replaces what was there. An entry larger than the limit is not kept. Without `ttlMs` it lives as the settings say. */
  keep(key: string, value: V, bytes: number, ttlMs?: number): void;
  /**
   * Takes an entry of an earlier life back. Nothing that is here makes room for it: false where its time is over, its
   * key is taken, or there is no room.
   */
  restore(key: string, entry: Kept<V>): boolean;
  /** What is alive, most recently used first. Not to be changed meanwhile. */
  kept(): Generator<[key: string, entry: Kept<V>]>;
}

export interface Found<V> {
  readonly value: V;
  readonly ageMs: number;
}

export interface Kept<V> {
  readonly value: V;
  readonly bytes: number;
  readonly ageMs: number;
  /** Its own; undefined: as the settings say. */
  readonly ttlMs: number | undefined;
}

interface Entry<V> {
  readonly key: string;
  readonly value: V;
  readonly bytes: number;
  readonly storedAt: Instant;
  readonly ownTtlMs: number | undefined;
  hits: number;
  lastHitAt: Instant | undefined;
  /** Grows with every use of any entry: their order as a number, in which a page can end and go on. */
  usedAt: number;
  /** Used after it and before it. Of an entry that is gone they still lead on. */
  newer: Entry<V> | undefined;
  older: Entry<V> | undefined;
}

export function createTtlLru<V>(first: CacheSettings, now: () => Instant): TtlLru<V> {
  let settings = first;
  let bytes = 0;
  let keptSinceSweep = 0;
  let uses = 0;
  let counts = zero(0);
  const table = new Map<string, Entry<V>>();
  let newest: Entry<V> | undefined;
  let oldest: Entry<V> | undefined;

  /** Whether the time of an entry is over; a TTL that is changed counts for the old entries as well. */
  const isOver = ({ storedAt, ownTtlMs }: Entry<V>, at: Instant): boolean =>
    at - storedAt >= (ownTtlMs ?? settings.ttlMs);

  const link = (entry: Entry<V>): void => {
    uses += 1;
    entry.usedAt = uses;
    entry.newer = undefined;
    entry.older = newest;
    if (newest === undefined) oldest = entry;
    else newest.newer = entry;
    newest = entry;
  };

  const unlink = ({ newer, older }: Entry<V>): void => {
    if (newer === undefined) newest = older;
    else newer.older = older;
    if (older === undefined) oldest = newer;
    else older.newer = newer;
  };

  /** Most recently used first. What is passed may be dropped. */
  function* byUse(): Generator<Entry<V>> {
    for (let entry = newest; entry !== undefined; entry = entry.older) yield entry;
  }

  const drop = (entry: Entry<V>): void => {
    table.delete(entry.key);
    unlink(entry);
    bytes -= entry.bytes;
  };

  const expire = (entry: Entry<V>): void => {
    drop(entry);
    counts.expirations += 1;
  };

  const evict = (entry: Entry<V>): void => {
    drop(entry);
    counts.evictions += 1;
  };

  const sweep = (at: Instant): void => {
    keptSinceSweep = 0;
    for (const entry of byUse()) if (isOver(entry, at)) expire(entry);
  };

  const exceeds = (moreEntries: number, moreBytes: number): boolean =>
    table.size + moreEntries > settings.maxEntries || bytes + moreBytes > settings.maxBytes;

  /** What is over goes before what is alive. */
  const makeRoom = (moreEntries: number, moreBytes: number, at: Instant): void => {
    if (!exceeds(moreEntries, moreBytes)) return;
    if (keptSinceSweep * ttlLruRule.sweepShare >= table.size) sweep(at);
    while (oldest !== undefined && exceeds(moreEntries, moreBytes)) {
      if (isOver(oldest, at)) expire(oldest);
      else evict(oldest);
    }
  };

  const put = (
    key: string,
    value: V,
    entryBytes: number,
    storedAt: Instant,
    ownTtlMs: number | undefined,
  ): void => {
    const entry: Entry<V> = {
      key,
      value,
      bytes: entryBytes,
      storedAt,
      ownTtlMs,
      hits: 0,
      lastHitAt: undefined,
      usedAt: 0,
      newer: undefined,
      older: undefined,
    };
    table.set(key, entry);
    link(entry);
    bytes += entryBytes;
    keptSinceSweep += 1;
    counts.peakBytes = Math.max(counts.peakBytes, bytes);
  };

  return {
    find(key, holds) {
      const entry = table.get(key);
      if (entry === undefined) return undefined;
      const at = now();
      if (isOver(entry, at)) {
        expire(entry);
        return undefined;
      }
      if (holds?.(entry.value) === false) return undefined;
      if (entry !== newest) {
        unlink(entry);
        link(entry);
      }
      entry.hits += 1;
      entry.lastHitAt = at;
      counts.hits += 1;
      return { value: entry.value, ageMs: at - entry.storedAt };
    },
    missed() {
      counts.misses += 1;
    },
    joined() {
      counts.joins += 1;
    },
    keep(key, value, entryBytes, ownTtlMs) {
      const at = now();
      const before = table.get(key);
      // Replaced or outgrown, what was there answers nobody any more.
      if (before !== undefined) drop(before);
      const fits = settings.maxEntries >= 1 && entryBytes <= settings.maxBytes;
      if (!settings.enabled || !fits) return;
      makeRoom(1, entryBytes, at);
      put(key, value, entryBytes, at, ownTtlMs);
    },
    restore(key, { value, bytes: entryBytes, ageMs, ttlMs: ownTtlMs }) {
      const isStale = ageMs >= (ownTtlMs ?? settings.ttlMs);
      if (!settings.enabled || isStale || table.has(key) || exceeds(1, entryBytes)) return false;
      put(key, value, entryBytes, now() - ageMs, ownTtlMs);
      return true;
    },
    *kept() {
      const at = now();
      for (const entry of byUse()) {
        if (isOver(entry, at)) continue;
        const { key, value, bytes: entryBytes, storedAt, ownTtlMs } = entry;
        yield [key, { value, bytes: entryBytes, ageMs: at - storedAt, ttlMs: ownTtlMs }];
      }
    },

    stats: (): CacheStats => ({
      ...counts,
      enabled: settings.enabled,
      entries: table.size,
      maxEntries: settings.maxEntries,
      bytes,
      maxBytes: settings.maxBytes,
      staleHits: 0,
    }),
    settings: () => settings,
    configure(change) {
      const at = now();
      // Whose time is over must not come back to life by a longer one.
      sweep(at);
      settings = { ...settings, ...change };
      sweep(at);
      makeRoom(0, 0, at);
      // Off means that it holds no memory either; what is kept could only be out of date when it is on again.
      if (!settings.enabled) for (const entry of byUse()) evict(entry);
    },
    clear({ archetype, prefix, resetStats }) {
      let cleared = 0;
      // No entry here belongs to an archetype.
      for (const entry of archetype === undefined ? byUse() : []) {
        if (prefix !== undefined && !entry.key.startsWith(prefix)) continue;
        drop(entry);
        cleared += 1;
      }
      if (resetStats === true) counts = zero(bytes);
      return cleared;
    },
    entries({ limit, after, prefix = "" }) {
      const at = now();
      const below = useBelow(after, (key) => table.get(key)?.usedAt);
      const found: CacheEntry[] = [];
      let last: string | undefined;
      for (const entry of byUse()) {
        if (entry.usedAt >= below || !entry.key.startsWith(prefix)) continue;
        if (found.length === limit) return { entries: found, next: last };
        found.push(shown(entry, settings.ttlMs, at));
        last = cursorText(entry.key, entry.usedAt);
      }
      return { entries: found, next: undefined };
    },
  };
}

const zero = (bytes: number) => ({
  hits: 0,
  misses: 0,
  joins: 0,
  evictions: 0,
  expirations: 0,
  peakBytes: bytes,
});

function shown<V>(entry: Entry<V>, ttlMs: number, at: Instant): CacheEntry {
  const ageMs = at - entry.storedAt;
  return {
    key: entry.key,
    bytes: entry.bytes,
    ageMs,
    ttlMs: Math.max(0, (entry.ownTtlMs ?? ttlMs) - ageMs),
    hits: entry.hits,
    lastHitMs: entry.lastHitAt === undefined ? undefined : at - entry.lastHitAt,
  };
}
