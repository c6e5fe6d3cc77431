// Two caches that an operator sees as one: the same settings for both, and each within its own limits.

import type { CacheControl, CacheStats } from "./cache-control.ts";

/** Before a cursor of the second; keys are hashes, which have no colon. */
const ofSecond = "2:";

/** `settings` are those of the first: the two are only ever set together. */
export const together = (first: CacheControl, second: CacheControl): CacheControl => ({
  stats: () => sum(first.stats(), second.stats()),
  settings: first.settings,
  configure(change) {
    first.configure(change);
    second.configure(change);
  },
  clear: (which) => first.clear(which) + second.clear(which),
  entries({ limit, after, prefix }) {
    const isSecond = after?.startsWith(ofSecond) === true;
    const page = isSecond
      ? second.entries({ limit, prefix, after: after.slice(ofSecond.length) || undefined })
      : first.entries({ limit, prefix, after });
    const next = isSecond && page.next !== undefined ? `${ofSecond}${page.next}` : page.next;
    if (isSecond || next !== undefined) return { entries: page.entries, next };
    const left = limit - page.entries.length;
    if (left === 0) return { entries: page.entries, next: second.stats().entries > 0 ? ofSecond : undefined };
    const rest = second.entries({ limit: left, prefix });
    const entries = [...page.entries, ...rest.entries];
    return { entries, next: rest.next === undefined ? undefined : `${ofSecond}${rest.next}` };
  },
});

const sum = (first: CacheStats, second: CacheStats): CacheStats => ({
  enabled: first.enabled,
  entries: first.entries + second.entries,
  maxEntries: first.maxEntries + second.maxEntries,
  bytes: first.bytes + second.bytes,
  maxBytes: first.maxBytes + second.maxBytes,
  peakBytes: first.peakBytes + second.peakBytes,
  hits: first.hits + second.hits,
  misses: first.misses + second.misses,
  staleHits: first.staleHits + second.staleHits,
  joins: first.joins + second.joins,
  evictions: first.evictions + second.evictions,
  expirations: first.expirations + second.expirations,
});
