// The intent table's entries as an operator sees them: a page at a time, the most recently used first. It disturbs
// nothing: to be listed is no use.

import type { CacheEntry, CachePage, CachePageRequest } from "../base/cache-control.ts";
import type { Instant } from "../base/clock.ts";
import { cursorText, useBelow } from "../base/page-cursor.ts";
import type { Archetype, Archetypes } from "./archetype.ts";
import { keyText, matching, readKey } from "./entry-key.ts";
import type { EntryStore } from "./entry-store.ts";
import { archetypeAt, bytesPerEntry, field } from "./entry-store.ts";

export function pageOf(
  store: EntryStore,
  archetypes: Archetypes,
  ttlOf: (archetype: Archetype) => number,
  { limit, after, prefix }: CachePageRequest,
  now: Instant,
): CachePage {
  const wanted = matching(archetypes, undefined, prefix);
  const entries: CacheEntry[] = [];
  let last: string | undefined;
  let next: string | undefined;
  store.byUse(useBelow(after, useOf), (key, slot) => {
    const archetype = archetypes.all[archetypeAt(store, slot)];
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

  function useOf(text: string): number | undefined {
    const key = readKey(text, archetypes);
    const slot = key === undefined ? -1 : store.peek(key.archetype.offset + key.situation);
    return slot < 0 ? undefined : store.instants[slot * store.words + field.usedAt];
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
