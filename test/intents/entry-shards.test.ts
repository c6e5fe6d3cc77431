import { describe, expect, test } from "bun:test";
import { createShards, shardMost, shardsFor } from "../../src/intents/entry-shards.ts";

test.each([
  [1, 1],
  [shardMost, 1],
  [shardMost + 1, 2],
  [1_000_000, 32],
  [2 ** 24 - 1, 512],
])("%d entries have %d shards", (capacity, shards) => {
  expect(shardsFor(capacity, shardMost)).toBe(shards);
});

describe("over 32 shards", () => {
  const count = 32_000;
  test.each([
    ["neighbours", (index: number) => index],
    ["neighbours at the top of 2^53", (index: number) => 2 ** 53 - 1 - index],
    ["keys that differ in the low bits of the high half", (index: number) => index * 2 ** 32],
    ["keys that are multiples of 4096", (index: number) => index * 4096],
    ["keys that are multiples of 3^12", (index: number) => index * 3 ** 12],
    ["keys two buckets apart in a feature", (index: number) => (index % 8) + 2 ** 20 * (index >> 3)],
  ])("%s spread: none has a tenth more than its share", (_what, keyOf) => {
    const shards = createShards(1_000_000, shardMost);
    for (let index = 0; index < count; index += 1) shards.lruFor(keyOf(index)).set(keyOf(index), index);
    // Of 1,000 each: three standard deviations of a fair throw are 93.
    for (const lru of shards.all) expect(lru?.size).toBeWithin(880, 1120);
  });
});

test("a shard is made with its first entry, and found from then on", () => {
  const shards = createShards(100, 10);
  expect(shards.all.length).toBe(16);
  expect(shards.lruOf(7)).toBeUndefined();
  expect(shards.isFull(7)).toBe(false);
  const made = shards.lruFor(7);
  expect(shards.lruOf(7)).toBe(made);
  expect(shards.all.filter((lru) => lru !== undefined)).toEqual([made]);
});

test.each([1, 3, 40, 77, 100])(
  "together they hold %d entries, and none more than a share of them",
  (most) => {
    const shards = createShards(most, 10);
    for (let key = 0; key < 3000; key += 1) shards.lruFor(key).set(key, key);
    const sizes = shards.all.map((lru) => lru?.size ?? 0);
    expect(sizes.reduce((sum, size) => sum + size)).toBe(most);
    expect(Math.max(...sizes)).toBe(Math.ceil(most / shards.all.length));
  },
);
