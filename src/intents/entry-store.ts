// The memory of the intent table: a key has a slot, and a slot is a record of numbers in one buffer. No object an entry,
// so the garbage collector never walks a million. Owns the order of use; what a record means is the table's business.

import type { Instant } from "../base/clock.ts";
import { byUse } from "./by-use.ts";
import { createShards, shardMost, shardsFor } from "./entry-shards.ts";

/** Where a record keeps what. Together in one place, because a look-up then waits for memory once. */
export const field = {
  /** In `instants`. */
  madeAt: 0,
  lastHitAt: 1,
  /** The store's own: grows with every use, and so gives all entries one order, in which a page can end and go on. */
  usedAt: 2,
  /** In `counts`. */
  generation: 6,
  hits: 7,
  /** In `shorts`. */
  archetype: 16,
  best: 17,
  sums: 18,
} as const;

/** What a store is made for. */
export interface EntryRoom {
  /** The most entries that it holds. */
  readonly capacity: number;
  /** How many running sums a record has room for. */
  readonly stride: number;
  /** Entries in one LRU; tests take few. */
  readonly perShard?: number;
}

export interface EntryStore {
  readonly capacity: number;
  readonly stride: number;
  readonly size: number;
  /** Three views of one buffer. A record is `words` long in `instants`, twice that in `counts`, four times in `shorts`. */
  readonly words: number;
  readonly instants: Float64Array;
  readonly counts: Uint32Array;
  readonly shorts: Uint16Array;
  /** The number of the last use. */
  readonly uses: number;
  /** The key's slot, which is the most recently used then; -1: it has none. */
  use(key: number): number;
  /** One more hit. */
  markHit(slot: number, at: Instant): void;
  /** The key's slot, and nothing changes; -1: it has none. */
  peek(key: number): number;
  /** Whether `add` would evict. */
  isFull(key: number): boolean;
  /** A slot for a key that has none. Where there is no room, `evict` is first told the slot that goes. */
  add(key: number, evict: (slot: number) => void): number;
  drop(key: number): void;
  /** In place, at the cost of what goes. False, and nothing is changed: it takes another store. */
  resize(capacity: number, evict: (slot: number) => void): boolean;
  /** In no order. */
  each(seen: (key: number, slot: number) => void): void;
  /** Most recently used first, only those used before `below`, until `seen` says false. */
  byUse(below: number, seen: (key: number, slot: number) => boolean): void;
}

/** The most entries of any store, whatever the limits say: at some 180 bytes each this is 3 GB. */
export const capacityMost = 2 ** 24 - 1;

/** Of the LRU: the key as a float64, the slot, two links of 16 bits, and a hole; of the store, a free slot. */
const lruBytes = 8 + 4 + 2 * 2 + 2 + 4;
/** What the LRU's Map takes: measured 34 to 68, and half of that again for the one it outgrew; 180 resident in all. */
const mapBytes = 110;

/** What one entry costs, all of it. */
export const bytesPerEntry = (stride: number): number => wordsOf(stride) * 8 + lruBytes + mapBytes;

const hitsMost = 2 ** 32 - 1;

const wordsOf = (stride: number): number => Math.ceil((field.sums + stride) / 4);

/** Slots that there are at first; they double. */
const slotsFirst = 1024;

/** Views of it see it grow in its place: to copy half a million records would take 17 ms. */
const growing = (bytesEach: number, most: number): ArrayBuffer =>
  new ArrayBuffer(bytesEach * Math.min(slotsFirst, most), { maxByteLength: bytesEach * most });

/** `uses` goes on from another store's. */
export function createEntryStore(room: EntryRoom, usesBefore = 0): EntryStore {
  const { stride, perShard = shardMost } = room;
  const words = wordsOf(stride);
  const shards = createShards(room.capacity, perShard);
  // As many as it may be resized to, and one more: a new one is taken before the LRU says whose place it takes.
  const slotsMost = shards.all.length * perShard + 1;
  const records = growing(words * 8, slotsMost);
  const instants = new Float64Array(records);
  const counts = new Uint32Array(records);
  const freeSlots = growing(4, slotsMost);
  const free = new Uint32Array(freeSlots);
  let capacity = room.capacity;
  let size = 0;
  let freed = 0;
  let touched = 0;
  let uses = usesBefore;

  const release = (slot: number): void => {
    free[freed] = slot;
    freed += 1;
    size -= 1;
  };
  const take = (): number => {
    size += 1;
    if (freed > 0) {
      freed -= 1;
      return free[freed] ?? 0;
    }
    if (touched === free.length) {
      const slots = Math.min(slotsMost, 2 * touched);
      records.resize(slots * words * 8);
      freeSlots.resize(slots * 4);
    }
    touched += 1;
    return touched - 1;
  };
  const stamp = (slot: number): void => {
    uses += 1;
    instants[slot * words + field.usedAt] = uses;
  };
  const drop = (key: number): void => {
    const slot = shards.lruOf(key)?.remove<undefined>(key);
    if (slot !== undefined) release(slot);
  };
  const peek = (key: number): number => shards.lruOf(key)?.peek(key) ?? -1;

  return {
    get capacity() {
      return capacity;
    },
    stride,
    get size() {
      return size;
    },
    words,
    instants,
    counts,
    shorts: new Uint16Array(records),
    get uses() {
      return uses;
    },
    use(key) {
      const slot = shards.lruOf(key)?.get(key);
      if (slot === undefined) return -1;
      stamp(slot);
      return slot;
    },
    markHit(slot, at) {
      const record = slot * words;
      const hits = counts[2 * record + field.hits] ?? 0;
      // One situation alone, asked at full speed for half an hour: it stays there rather than begin again.
      if (hits < hitsMost) counts[2 * record + field.hits] = hits + 1;
      instants[record + field.lastHitAt] = at;
    },
    peek,
    isFull: shards.isFull,
    add(key, evict) {
      const slot = take();
      const evicted = shards.lruFor(key).setpop(key, slot);
      if (evicted !== null) {
        evict(evicted.value);
        release(evicted.value);
      }
      stamp(slot);
      return slot;
    },
    drop,
    resize(next, evict) {
      if (shardsFor(next, perShard) !== shards.all.length) return false;
      capacity = next;
      shards.resize(next, (key) => {
        evict(peek(key));
        drop(key);
      });
      return true;
    },
    each(seen) {
      for (const lru of shards.all) {
        lru?.forEach((slot, key) => {
          seen(key, slot);
        });
      }
    },
    byUse: (below, seen) =>
      byUse(shards.all, (slot) => instants[slot * words + field.usedAt] ?? 0, below, seen),
  };
}

/** The id of the archetype that the slot's entry is of. */
export const archetypeAt = ({ shorts, words }: EntryStore, slot: number): number =>
  shorts[4 * slot * words + field.archetype] ?? 0;

/** The whole record, as far as both stores have room for odds. */
export function copyRecord(from: EntryStore, slot: number, to: EntryStore, target: number): void {
  const length = field.sums + Math.min(from.stride, to.stride);
  const source = slot * from.words * 4;
  const begin = target * to.words * 4;
  for (let index = 0; index < length; index += 1) {
    to.shorts[begin + index] = from.shorts[source + index] ?? 0;
  }
}
