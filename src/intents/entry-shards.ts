// Which slot a key has, kept in several of mnemonist's LRUs. A JavaScript Map rehashes all of itself in one go, while it
// grows and while it evicts: of a million entries for 130 ms, in which nobody is answered. Knows nothing of records.

import { LRUMapWithDelete } from "mnemonist";

/** Key to slot. */
export type Lru = LRUMapWithDelete<number, number>;

/** The most entries of one LRU: it then stalls for 2 to 4 ms (with twice as many: 4 to 8), and its links have 16 bits. */
export const shardMost = 32_768;

/**
 * What an LRU is made for at first; it then doubles. mnemonist makes all of its arrays at once, and the collector, which
 * counts them, waits the longer with everything else: arrays for a million cost 130 MB of garbage that nobody collected.
 */
const shardFirst = 1024;

/**
 * A power of two of them, by the key. Where all entries fit in one there is one, and the order of use is exact; beyond
 * it, what goes is the least recently used of its shard, so a table evicts from about a hundredth below its capacity.
 */
export interface Shards {
  /** By number. Undefined: as yet without an entry, which costs nothing. */
  readonly all: readonly (Lru | undefined)[];
  lruOf(key: number): Lru | undefined;
  /** Makes it where there is none. */
  lruFor(key: number): Lru;
  /** Where one more key would put another out. */
  isFull(key: number): boolean;
  /** Changes what they may hold; their number stays. `surplus` is shown each key that must leave its LRU for that. */
  resize(capacity: number, surplus: (key: number) => void): void;
}

/** More than half of what each may hold is used: a smaller change of limits then does not change their number. */
export const shardsFor = (capacity: number, most: number): number =>
  2 ** Math.max(0, Math.ceil(Math.log2(capacity / most)));

export function createShards(capacity: number, most: number): Shards {
  const all: (Lru | undefined)[] = Array.from({ length: shardsFor(capacity, most) });
  /** What the arrays of each have room for. */
  const rooms = all.map(() => 0);
  const mask = all.length - 1;
  let whole = capacity;

  /** Together they hold exactly `whole`. */
  const share = (shard: number): number =>
    Math.floor(whole / all.length) + (shard < whole % all.length ? 1 : 0);
  const shardOf = (key: number): number => (mask === 0 ? 0 : spread(key) & mask);

  return {
    all,
    lruOf: (key) => all[shardOf(key)],
    lruFor(key) {
      const shard = shardOf(key);
      const known = all[shard];
      if (known !== undefined && (known.size < known.capacity || known.capacity === share(shard)))
        return known;
      const room = Math.min(most, Math.max(shardFirst, 2 * (rooms[shard] ?? 0)));
      const lru = new LRUMapWithDelete<number, number>(Float64Array, Uint32Array, room);
      // It takes in new keys at its front, so the least recently used come first.
      if (known !== undefined) for (const [each, slot] of [...known].reverse()) lru.set(each, slot);
      rooms[shard] = room;
      lru.capacity = Math.min(room, share(shard));
      all[shard] = lru;
      return lru;
    },
    isFull(key) {
      const shard = shardOf(key);
      const lru = all[shard];
      return lru !== undefined && lru.size === share(shard);
    },
    resize(next, surplus) {
      whole = next;
      for (const [shard, lru] of all.entries()) {
        if (lru === undefined) continue;
        lru.capacity = Math.min(rooms[shard] ?? 0, share(shard));
        if (lru.size > lru.capacity) for (const key of [...lru.keys()].slice(lru.capacity)) surplus(key);
      }
    },
  };
}

/**
 * 12 bits in which all 53 of a key have a say, so that neighbours part. Multiply, fold, multiply: base/hash32.ts costs
 * a look-up 60 ns more, and nothing here needs its quality.
 */
function spread(key: number): number {
  const high = (key / 2 ** 32) | 0;
  // Less 2^31, for a double that fits 32 bits with a sign is cut the quick way.
  const low = (key - high * 2 ** 32 - 2 ** 31) | 0;
  const mixed = Math.imul(low ^ Math.imul(high, 0x85ebca6b), 0x9e3779b1);
  return Math.imul(mixed ^ (mixed >>> 15), 0xc2b2ae35) >>> 20;
}
