// What this router knows of situations: for each the odds of the actions, how old they are, and how often they
// answered. Owns ages and what is in force; the numbers lie in entry-store.ts. It asks no engine and writes no file.

import type { CacheControl } from "../base/cache-control.ts";
import type { Instant } from "../base/clock.ts";
import type { Archetype, Archetypes } from "./archetype.ts";
import { actionsMost } from "./archetype.ts";
import { matching } from "./entry-key.ts";
import { shardMost } from "./entry-shards.ts";
import type { EntryStore } from "./entry-store.ts";
import { archetypeAt, bytesPerEntry, createEntryStore, field } from "./entry-store.ts";
import type { IntentAnswer } from "./intent-answer.ts";
import { moveEntries, sameKeys } from "./move-entries.ts";
import { isRow, pickAt, whole, writeOdds } from "./odds.ts";
import type { IntentFigures, Kind } from "./table-figures.ts";
import { kindsOf, noCounts, resetCounts } from "./table-figures.ts";
import type { IntentTableLimits } from "./table-limits.ts";
import { capacityFor, strideOf } from "./table-limits.ts";
import { pageOf } from "./table-page.ts";

/** An entry as it is saved. */
export interface SavedIntent {
  archetype: Archetype;
  situation: number;
  ageMs: number;
  hits: number;
  /** The likeliest action. */
  best: number;
  /** Its row of odds.ts begins at `at`, and is as long as the archetype has actions. */
  sums: Uint16Array;
  at: number;
}

export interface IntentTable extends CacheControl {
  /** The ones in force. */
  readonly archetypes: Archetypes;
  /** How many more entries it takes before one must go. */
  readonly room: number;
  /**
   * The slot of a usable entry (fresh or stale), or -1, also for an archetype that is no longer in force. Counts a hit,
   * a stale hit, an expiration; never a miss. Valid until the next `put`, `restore`, `clear`, `configure` or `adopt`.
   */
  find(archetype: Archetype, situation: number, now: Instant): number;
  read(slot: number, archetype: Archetype, seed: number, now: Instant, into: IntentAnswer): void;
  /** The same from odds that no entry keeps, as if just made. */
  readOdds(odds: ArrayLike<number>, archetype: Archetype, seed: number, into: IntentAnswer): void;
  /** The entry's slot, or -1 where nothing was kept: the table is disabled, or the archetype no longer in force. */
  put(archetype: Archetype, situation: number, odds: ArrayLike<number>, now: Instant): number;
  missed(archetype: Archetype): void;
  joined(archetype: Archetype): void;
  figures(archetype: Archetype): IntentFigures;
  /**
   * Takes over another set. Entries of archetypes with the same name and fingerprint stay, all others go. What
   * `configure` changed of limits and times is over.
   */
  adopt(next: Archetypes, limits: IntentTableLimits): void;
  /** Most recently used first, expired ones left out, until `seen` says false. It is shown one record again and again. */
  each(now: Instant, seen: (entry: SavedIntent) => boolean): void;
  /**
   * Takes in a saved entry. False, and nothing is changed: it is expired or makes no sense, its archetype is not in
   * force, the table knows the situation already, or it is full and every entry in it is worth more than an old one.
   */
  restore(entry: SavedIntent, now: Instant): boolean;
}

/** `perShard`: entries of one LRU; tests take few. */
export function createIntentTable(
  archetypes: Archetypes,
  limits: IntentTableLimits,
  now: () => Instant,
  perShard = shardMost,
): IntentTable {
  let set = archetypes;
  let kinds = kindsOf(set);
  let { maxEntries, maxBytes } = limits;
  /** In place of every archetype's own; undefined: they have their own. */
  let ttlForAll: number | undefined;
  let enabled = true;
  let store = newStore(0);

  const total = noCounts();
  let evictions = 0;
  let expirations = 0;
  let peakBytes = 0;
  let generation = 0;

  function newStore(usesBefore: number): EntryStore {
    const stride = strideOf(set);
    const capacity = capacityFor({ maxEntries, maxBytes }, stride);
    return createEntryStore({ capacity, stride, perShard }, usesBefore);
  }

  const bytes = (): number => store.size * bytesPerEntry(store.stride);
  const ttlOf = (archetype: Archetype): number => ttlForAll ?? archetype.ttlMs;
  const isExpired = (archetype: Archetype, ageMs: number): boolean =>
    ageMs > ttlOf(archetype) + archetype.staleMs;
  const ageAt = (slot: number, at: Instant): number =>
    at - (store.instants[slot * store.words + field.madeAt] ?? 0);

  /** Undefined for an archetype of an earlier set. */
  const inForce = (archetype: Archetype): Kind | undefined => {
    const kind = kinds[archetype.id];
    return kind?.archetype === archetype ? kind : undefined;
  };

  const kindAt = (slot: number): Kind => {
    const kind = kinds[archetypeAt(store, slot)];
    if (kind === undefined) throw new Error(`slot ${slot} holds an entry of no archetype`);
    return kind;
  };

  const evicted = (slot: number): void => {
    kindAt(slot).counts.entries -= 1;
    evictions += 1;
  };

  const drop = (key: number, slot: number): void => {
    kindAt(slot).counts.entries -= 1;
    store.drop(key);
  };

  /** A slot for a situation that has none; its odds are still to be written. */
  const newEntry = (kind: Kind, key: number): number => {
    const slot = store.add(key, evicted);
    store.shorts[slot * store.words * 4 + field.archetype] = kind.archetype.id;
    store.counts[slot * store.words * 2 + field.hits] = 0;
    kind.counts.entries += 1;
    peakBytes = Math.max(peakBytes, bytes());
    return slot;
  };

  /** Odds on their way into a record. */
  const row = new Uint16Array(actionsMost);

  /** With a new generation: whoever draws from it now may draw another action than before. */
  const writeRow = (slot: number, best: number, madeAt: Instant): void => {
    const record = slot * store.words;
    generation = (generation + 1) >>> 0;
    store.instants[record + field.madeAt] = madeAt;
    store.counts[2 * record + field.generation] = generation;
    store.shorts[4 * record + field.best] = best;
    for (let action = 0; action < store.stride; action += 1) {
      store.shorts[4 * record + field.sums + action] = row[action] ?? whole;
    }
  };

  /** A new store, so that the memory of the old one goes back. */
  const empty = (): void => {
    store = newStore(store.uses);
    for (const { counts } of kinds) counts.entries = 0;
  };

  const move = (next: Archetypes): void => {
    const [from, before] = [store, set];
    set = next;
    kinds = kindsOf(next, kinds);
    empty();
    moveEntries(from, before, store, next, () => {
      evictions += 1;
    });
    store.each((_key, slot) => {
      kindAt(slot).counts.entries += 1;
    });
    peakBytes = Math.max(peakBytes, bytes());
  };

  /** In place where it can be: a million entries take a while to move. */
  const fit = (): void => {
    const capacity = capacityFor({ maxEntries, maxBytes }, store.stride);
    if (!store.resize(capacity, evicted)) move(set);
  };

  return {
    get archetypes() {
      return set;
    },
    get room() {
      return store.capacity - store.size;
    },

    find(archetype, situation, at) {
      const counts = inForce(archetype)?.counts;
      if (counts === undefined) return -1;
      const key = archetype.offset + situation;
      const slot = store.use(key);
      if (slot < 0) return -1;

      const ageMs = ageAt(slot, at);
      if (ageMs > ttlOf(archetype)) {
        if (isExpired(archetype, ageMs)) {
          drop(key, slot);
          expirations += 1;
          return -1;
        }
        total.staleHits += 1;
        counts.staleHits += 1;
      }
      total.hits += 1;
      counts.hits += 1;
      store.markHit(slot, at);
      return slot;
    },

    read(slot, archetype, seed, at, into) {
      const record = slot * store.words;
      const best = store.shorts[4 * record + field.best] ?? 0;
      const drawn = store.counts[2 * record + field.generation] ?? 0;
      pickAt(store.shorts, 4 * record + field.sums, best, drawn, archetype.pick, seed, into);
      const ageMs = ageAt(slot, at);
      const ttlMs = ttlOf(archetype);
      into.source = ageMs > ttlMs ? "stale" : "fresh";
      into.ageMs = ageMs;
      into.ttlMs = Math.max(0, ttlMs - ageMs);
    },

    readOdds(odds, archetype, seed, into) {
      const best = writeOdds(odds, archetype.actions.length, row, 0, row.length);
      pickAt(row, 0, best, generation, archetype.pick, seed, into);
      into.source = "fresh";
      into.ageMs = 0;
      into.ttlMs = ttlOf(archetype);
    },

    put(archetype, situation, odds, at) {
      const kind = inForce(archetype);
      if (!enabled || kind === undefined) return -1;
      if (!isSituation(archetype, situation)) {
        throw new RangeError(
          `${archetype.name} has the situations 0 to ${archetype.situations - 1}, and not ${situation}`,
        );
      }
      // First of all, and apart: these may be refused, and then the entry stays as it is.
      const best = writeOdds(odds, archetype.actions.length, row, 0, row.length);
      const key = archetype.offset + situation;
      const known = store.use(key);
      const slot = known < 0 ? newEntry(kind, key) : known;
      writeRow(slot, best, at);
      return slot;
    },

    restore({ archetype, situation, ageMs, hits, best, sums, at: begin }, at) {
      const kind = inForce(archetype);
      const key = archetype.offset + situation;
      if (!enabled || kind === undefined || !isSituation(archetype, situation)) return false;
      if (!(ageMs >= 0) || isExpired(archetype, ageMs)) return false;
      if (!isRow(sums, begin, archetype.actions.length, best)) return false;
      if (store.isFull(key) || store.peek(key) >= 0) return false;
      row.fill(whole);
      for (let action = 0; action < archetype.actions.length; action += 1) {
        row[action] = sums[begin + action] ?? whole;
      }
      const slot = newEntry(kind, key);
      writeRow(slot, best, at - ageMs);
      store.counts[slot * store.words * 2 + field.hits] = hits;
      // When it was hit, nobody saved; not before it was made, though.
      store.instants[slot * store.words + field.lastHitAt] = at - ageMs;
      return true;
    },

    each(at, seen) {
      let entry: SavedIntent | undefined;
      store.byUse(Number.POSITIVE_INFINITY, (key, slot) => {
        const { archetype } = kindAt(slot);
        const record = slot * store.words;
        const ageMs = ageAt(slot, at);
        if (isExpired(archetype, ageMs)) return true;
        entry ??= { archetype, situation: 0, ageMs: 0, hits: 0, best: 0, sums: store.shorts, at: 0 };
        entry.archetype = archetype;
        entry.situation = key - archetype.offset;
        entry.ageMs = ageMs;
        entry.hits = store.counts[2 * record + field.hits] ?? 0;
        entry.best = store.shorts[4 * record + field.best] ?? 0;
        entry.at = 4 * record + field.sums;
        return seen(entry);
      });
    },

    missed(archetype) {
      total.misses += 1;
      const kind = inForce(archetype);
      if (kind !== undefined) kind.counts.misses += 1;
    },
    joined(archetype) {
      total.joins += 1;
      const kind = inForce(archetype);
      if (kind !== undefined) kind.counts.joins += 1;
    },
    figures: (archetype) => inForce(archetype)?.counts ?? noCounts(),

    adopt(next, changed) {
      ({ maxEntries, maxBytes } = changed);
      ttlForAll = undefined;
      // Most reloads change nothing here.
      if (sameKeys(set, next)) {
        kinds = kindsOf(next, kinds);
        set = next;
        fit();
      } else {
        move(next);
      }
    },

    stats: () => ({
      ...total,
      enabled,
      entries: store.size,
      maxEntries,
      bytes: bytes(),
      maxBytes,
      peakBytes,
      evictions,
      expirations,
    }),

    settings: () => ({
      enabled,
      maxEntries,
      maxBytes,
      // One number for all of them: where each has its own, the longest.
      ttlMs: ttlForAll ?? Math.max(0, ...set.all.map((archetype) => archetype.ttlMs)),
    }),

    configure(change) {
      maxEntries = change.maxEntries ?? maxEntries;
      maxBytes = change.maxBytes ?? maxBytes;
      ttlForAll = change.ttlMs ?? ttlForAll;
      enabled = change.enabled ?? enabled;
      if (enabled) fit();
      else empty();
    },

    clear({ archetype, prefix, resetStats }) {
      const before = store.size;
      if (archetype === undefined && prefix === undefined) {
        empty();
      } else {
        const wanted = matching(set, archetype, prefix);
        const keys: number[] = [];
        store.each((key, slot) => {
          if (wanted(kindAt(slot).archetype, key)) keys.push(key);
        });
        for (const key of keys) drop(key, store.peek(key));
      }
      const cleared = before - store.size;
      if (resetStats === true) {
        resetCounts(total);
        for (const { counts } of kinds) resetCounts(counts);
        [evictions, expirations, peakBytes] = [0, 0, bytes()];
      }
      return cleared;
    },

    entries: (page) => pageOf(store, set, ttlOf, page, now()),
  };
}

const isSituation = ({ situations }: Archetype, situation: number): boolean =>
  Number.isInteger(situation) && situation >= 0 && situation < situations;
