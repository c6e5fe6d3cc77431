import { expect, test } from "bun:test";
import fc from "fast-check";
import type { EntryStore } from "../../src/intents/entry-store.ts";
import { createEntryStore } from "../../src/intents/entry-store.ts";

/** All entries by the walk in order of use. */
function walked(store: EntryStore, below = Number.POSITIVE_INFINITY): { key: number; slot: number }[] {
  const seen: { key: number; slot: number }[] = [];
  store.byUse(below, (key, slot) => {
    seen.push({ key, slot });
    return true;
  });
  return seen;
}

const anAct = fc.oneof(
  { weight: 8, arbitrary: fc.record({ add: fc.nat(60) }) },
  { weight: 4, arbitrary: fc.record({ use: fc.nat(60) }) },
  { weight: 2, arbitrary: fc.record({ drop: fc.nat(60) }) },
  { weight: 1, arbitrary: fc.record({ capacity: fc.integer({ min: 1, max: 40 }) }) },
);

test("after any acts a store of several shards holds each entry once, in order, in a slot of its own, and no more than it may", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.array(anAct, { maxLength: 120 }), (capacity, acts) => {
      const store = createEntryStore({ capacity, stride: 1, perShard: 5 });
      const shards = Math.max(1, 2 ** Math.ceil(Math.log2(capacity / 5)));
      // Key to slot in order of use; what the store evicts, it says.
      const model = new Map<number, number>();
      const evict = (slot: number): void => {
        const [key] = [...model].find(([, its]) => its === slot) ?? [];
        if (key === undefined) throw new Error(`slot ${slot} was evicted, and nobody had it`);
        model.delete(key);
      };
      for (const act of acts) {
        if ("add" in act) {
          if (model.has(act.add)) continue;
          const full = store.isFull(act.add);
          const before = model.size;
          const slot = store.add(act.add, evict);
          expect(model.size).toBe(full ? before - 1 : before);
          model.set(act.add, slot);
        } else if ("use" in act) {
          const slot = model.get(act.use);
          expect(store.use(act.use)).toBe(slot ?? -1);
          if (slot === undefined) continue;
          model.delete(act.use);
          model.set(act.use, slot);
        } else if ("drop" in act) {
          store.drop(act.drop);
          model.delete(act.drop);
        } else {
          const fits = Math.max(1, 2 ** Math.ceil(Math.log2(act.capacity / 5))) === shards;
          expect(store.resize(act.capacity, evict)).toBe(fits);
          if (fits) expect(store.capacity).toBe(act.capacity);
        }
        expect(store.size).toBe(model.size);
        expect(store.size).toBeLessThanOrEqual(store.capacity);
        expect(walked(store)).toEqual([...model].reverse().map(([key, slot]) => ({ key, slot })));
        expect(new Set(model.values()).size).toBe(model.size);
      }
    }),
  );
});

test("a store within one shard evicts the least recently used of all, at every capacity that it is given", () => {
  const store = createEntryStore({ capacity: 4, stride: 1, perShard: 8 });
  const evicted: number[] = [];
  const slots = new Map<number, number>();
  const add = (key: number) =>
    slots.set(
      store.add(key, (slot) => evicted.push(slots.get(slot) ?? -1)),
      key,
    );
  for (const key of [1, 2, 3, 4]) add(key);
  store.use(1);
  add(5);
  expect(store.resize(2, (slot) => evicted.push(slots.get(slot) ?? -1))).toBe(true);
  // From the most recently used of those that must go.
  expect(evicted).toEqual([2, 4, 3]);
  store.resize(8, () => {});
  for (const key of [6, 7, 8, 9, 10, 11]) add(key);
  expect(evicted.length).toBe(3);
  add(12);
  expect(evicted.at(-1)).toBe(1);
});

test("the walk begins below a use, and stops when it is told to", () => {
  const store = createEntryStore({ capacity: 80, stride: 1, perShard: 20 });
  for (let key = 0; key < 20; key += 1) store.add(key, () => {});
  // Key 0 was use 1.
  expect(walked(store, 11).map(({ key }) => key)).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
  let seen = 0;
  store.byUse(Number.POSITIVE_INFINITY, () => {
    seen += 1;
    return seen < 3;
  });
  expect(seen).toBe(3);
});
