// The intent table's entries as an operator sees them: a page at a time, the most recently used first. It disturbs
// nothing: to be listed is no use.

import type { CacheEntry, CachePage } from "../base/cache-control.ts";
import type { Instant } from "../base/clock.ts";
import type { Archetype, Archetypes } from "./archetype.ts";
import { cursorText, keyText, matching, readCursor } from "./entry-key.ts";
import type { EntryStore } from "./entry-store.ts";
import { bytesPerEntry, field } from "./entry-store.ts";

export interface PageRequest {
  readonly limit: number;
  readonly after?: string | undefined;
  readonly prefix?: string | undefined;
}

export function pageOf(
  store: EntryStore,
  archetypes: Archetypes,
  ttlOf: (archetype: Archetype) => number,
  { limit, after, prefix }: PageRequest,
  now: Instant,
): CachePage {
  const wanted = matching(archetypes, undefined, prefix);
  const entries: CacheEntry[] = [];
  let last: string | undefined;
  let next: string | undefined;
  store.byUse(after === undefined ? Number.POSITIVE_INFINITY : useOf(after), (key, slot) => {
    const archetype = archetypes.all[store.shorts[slot * store.words * 4 + field.archetype] ?? 0];
    if (archetype === undefined || !wanted(archetype, key)) return true;
    if (entries.length >= limit) {
      next = last;
      return false;
    }
    const entry = entryOf(archetype, key, slot);
    entries.push(entry);
    last = cursorText(entry.key, store.instants[slot * store.words + field.usedAt] ?? 0);
    return true;
  });
  return { entries, next };

  /** The use before which the page begins. A bare key of an entry that is gone, or of none, has nothing after it. */
  function useOf(text: string): number {
    const cursor = readCursor(text, archetypes);
    if (cursor === undefined) return 0;
    if (cursor.use !== undefined) return cursor.use;
    const slot = store.peek(cursor.archetype.offset + cursor.situation);
    return slot < 0 ? 0 : (store.instants[slot * store.words + field.usedAt] ?? 0);
  }

  function entryOf(archetype: Archetype, key: number, slot: number): CacheEntry {
    const record = slot * store.words;
    const ageMs = now - (store.instants[record + field.madeAt] ?? 0);
    const hits = store.counts[2 * record + field.hits] ?? 0;
    return {
      key: keyText(archetype, key - archetype.offset),
      bytes: bytesPerEntry(store.stride),
      ageMs,
      ttlMs: Math.max(0, ttlOf(archetype) - ageMs),
      hits,
      lastHitMs: hits === 0 ? undefined : now - (store.instants[record + field.lastHitAt] ?? 0),
    };
  }
}
