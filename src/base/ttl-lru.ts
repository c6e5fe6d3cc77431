// A cache with strings for keys: the least recently used entry goes first, each goes when its time is over, and neither
// their count nor their bytes exceed the limits, ever. What an entry weighs is the owner's to say.

import { LRUMapWithDelete } from "mnemonist";
import type { CacheControl, CacheEntry, CacheSettings, CacheStats } from "./cache-control.ts";
import type { Instant } from "./clock.ts";

const ttlLruRule = {
  /** Slots made at first. mnemonist makes all of its slots at once; a million for nothing would be 24 MB. */
  slotsAtFirst: 256,
  /** A sweep for expired entries looks at no more than so many for each one kept since the last. */
  sweepShare: 8,
} as const;

export interface TtlLru<V> extends CacheControl {
  /** Counts a hit where there is one; what its absence means only the asker knows: `missed` or `joined`. */
  find(key: string): Found<V> | undefined;
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
  /** Undefined once it is gone, since mnemonist holds on to what it has deleted. */
  value: V | undefined;
  readonly bytes: number;
  readonly storedAt: Instant;
  readonly ownTtlMs: number | undefined;
  hits: number;
  lastHitAt: Instant | undefined;
}

export function createTtlLru<V>(first: CacheSettings, now: () => Instant): TtlLru<V> {
  let settings = first;
  let bytes = 0;
  let keptSinceSweep = 0;
  let counts = zero(0);
  let table = tableOf<V>(Math.min(first.maxEntries, ttlLruRule.slotsAtFirst));

  /** Whether the time of an entry is over; a TTL that is changed counts for the old entries as well. */
  const isOver = ({ storedAt, ownTtlMs }: Entry<V>, at: Instant): boolean =>
    at - storedAt >= (ownTtlMs ?? settings.ttlMs);

  const drop = (key: string, entry: Entry<V>): void => {
    table.delete(key);
    entry.value = undefined;
    bytes -= entry.bytes;
  };

  const expire = (key: string, entry: Entry<V>): void => {
    drop(key, entry);
    counts.expirations += 1;
  };

  const evict = (key: string, entry: Entry<V>): void => {
    drop(key, entry);
    counts.evictions += 1;
  };

  const sweep = (at: Instant): void => {
    keptSinceSweep = 0;
    for (const [key, entry] of [...table]) if (isOver(entry, at)) expire(key, entry);
  };

  const exceeds = (moreEntries: number, moreBytes: number): boolean =>
    table.size + moreEntries > settings.maxEntries || bytes + moreBytes > settings.maxBytes;

  /** What is over goes before what is alive. */
  const makeRoom = (moreEntries: number, moreBytes: number, at: Instant): void => {
    if (!exceeds(moreEntries, moreBytes)) return;
    if (keptSinceSweep * ttlLruRule.sweepShare >= table.size) sweep(at);
    while (exceeds(moreEntries, moreBytes)) {
      const oldest = table.leastRecent();
      if (oldest === undefined) return;
      const [key, entry] = oldest;
      if (isOver(entry, at)) expire(key, entry);
      else evict(key, entry);
    }
  };

  /** The slots that there are cannot be added to, so the entries move. */
  const moveTo = (slots: number): void => {
    const bigger = tableOf<V>(slots);
    for (const [key, entry] of [...table].reverse()) bigger.set(key, entry);
    table = bigger;
  };

  const put = (key: string, entry: Entry<V>): void => {
    // A full table would throw its oldest entry out without a word.
    if (table.size === table.capacity) moveTo(Math.min(settings.maxEntries, table.capacity * 2));
    table.set(key, entry);
    bytes += entry.bytes;
    keptSinceSweep += 1;
    counts.peakBytes = Math.max(counts.peakBytes, bytes);
  };

  return {
    find(key) {
      const entry = table.peek(key);
      if (entry?.value === undefined) return undefined;
      const at = now();
      if (isOver(entry, at)) {
        expire(key, entry);
        return undefined;
      }
      table.get(key);
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
      const before = table.peek(key);
      // Replaced or outgrown, what was there answers nobody any more.
      if (before !== undefined) drop(key, before);
      const fits = settings.maxEntries >= 1 && entryBytes <= settings.maxBytes;
      if (!settings.enabled || !fits) return;
      makeRoom(1, entryBytes, at);
      put(key, { value, bytes: entryBytes, storedAt: at, ownTtlMs, hits: 0, lastHitAt: undefined });
    },
    restore(key, { value, bytes: entryBytes, ageMs, ttlMs: ownTtlMs }) {
      const at = now();
      const entry = {
        value,
        bytes: entryBytes,
        storedAt: at - ageMs,
        ownTtlMs,
        hits: 0,
        lastHitAt: undefined,
      };
      if (!settings.enabled || table.has(key) || isOver(entry, at) || exceeds(1, entryBytes)) return false;
      put(key, entry);
      return true;
    },
    *kept() {
      const at = now();
      for (const [key, entry] of table) {
        if (entry.value === undefined || isOver(entry, at)) continue;
        const { value, bytes: entryBytes, storedAt, ownTtlMs } = entry;
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
      if (!settings.enabled) for (const [key, entry] of [...table]) evict(key, entry);
      if (table.capacity > settings.maxEntries) {
        moveTo(Math.max(table.size, Math.min(settings.maxEntries, ttlLruRule.slotsAtFirst)));
      }
    },
    clear({ archetype, prefix, resetStats }) {
      let cleared = 0;
      // No entry here belongs to an archetype.
      for (const [key, entry] of archetype === undefined ? [...table] : []) {
        if (prefix !== undefined && !key.startsWith(prefix)) continue;
        drop(key, entry);
        cleared += 1;
      }
      if (resetStats === true) counts = zero(bytes);
      return cleared;
    },
    entries({ limit, after, prefix = "" }) {
      const at = now();
      const found: CacheEntry[] = [];
      let passed = after === undefined;
      for (const [key, entry] of table) {
        if (!passed) passed = key === after;
        else if (key.startsWith(prefix)) {
          if (found.length === limit) return { entries: found, next: found.at(-1)?.key };
          found.push(shown(key, entry, settings.ttlMs, at));
        }
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

function shown<V>(key: string, entry: Entry<V>, ttlMs: number, at: Instant): CacheEntry {
  const ageMs = at - entry.storedAt;
  return {
    key,
    bytes: entry.bytes,
    ageMs,
    ttlMs: Math.max(0, (entry.ownTtlMs ?? ttlMs) - ageMs),
    hits: entry.hits,
    lastHitMs: entry.lastHitAt === undefined ? undefined : at - entry.lastHitAt,
  };
}

/** mnemonist's, and the one thing that its public side does not tell: who is next to go. */
class Table<V> extends LRUMapWithDelete<string, Entry<V>> {
  declare private readonly tail: number;
  declare private readonly K: readonly string[];
  declare private readonly V: readonly Entry<V>[];

  leastRecent(): [key: string, entry: Entry<V>] | undefined {
    const key = this.K[this.tail];
    const entry = this.V[this.tail];
    return this.size === 0 || key === undefined || entry === undefined ? undefined : [key, entry];
  }
}

/** mnemonist knows no empty table; that nothing is kept in it is the limits' affair. */
const tableOf = <V>(slots: number): Table<V> => new Table<V>(Math.max(1, slots));
