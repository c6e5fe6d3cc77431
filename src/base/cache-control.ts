// What an operator may see of a cache and change about it, whichever cache it is. The admin API, the CLI and the
// metrics speak to this and to no cache in particular.

/** The caches there are, by the names they have outside. */
export const cacheNames = ["intents", "results"] as const;
export type CacheName = (typeof cacheNames)[number];

/** Exact, never sampled. Every count is since the start or the last `resetStats`. */
export interface CacheStats {
  readonly enabled: boolean;
  readonly entries: number;
  readonly maxEntries: number;
  readonly bytes: number;
  readonly maxBytes: number;
  readonly peakBytes: number;
  /** All answers from the cache, stale ones included. */
  readonly hits: number;
  readonly misses: number;
  readonly staleHits: number;
  /** Questions that waited for another's answer; neither hits nor misses. */
  readonly joins: number;
  /** Entries that went because of a limit. */
  readonly evictions: number;
  /** Entries that went because of their age. */
  readonly expirations: number;
}

export interface CacheSettings {
  readonly enabled: boolean;
  readonly maxEntries: number;
  readonly maxBytes: number;
  readonly ttlMs: number;
}

export interface CacheEntry {
  readonly key: string;
  readonly bytes: number;
  readonly ageMs: number;
  /** Left; 0 where it is stale. */
  readonly ttlMs: number;
  readonly hits: number;
  /** How long ago it last answered; undefined: never. */
  readonly lastHitMs: number | undefined;
}

export interface CachePageRequest {
  readonly limit: number;
  /** The `next` of the page before. */
  readonly after?: string | undefined;
  readonly prefix?: string | undefined;
}

export interface CachePage {
  /** Most recently used first. */
  readonly entries: readonly CacheEntry[];
  /** Pass it as `after` for the next page; undefined: there is none. */
  readonly next: string | undefined;
}

export interface CacheControl {
  stats(): CacheStats;
  settings(): CacheSettings;
  /** In force at once: what no longer fits is evicted before this returns. */
  configure(change: Partial<CacheSettings>): void;
  /** Answers how many entries went. Without `archetype` and `prefix`: all. */
  clear(which: {
    readonly archetype?: string | undefined;
    readonly prefix?: string | undefined;
    readonly resetStats?: boolean | undefined;
  }): number;
  entries(page: CachePageRequest): CachePage;
}
