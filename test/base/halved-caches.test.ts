// Caches while memory is short: held to half of what they weigh, and given back what was theirs.

import { expect, test } from "bun:test";
import { createHalvedCaches } from "../../src/base/halved-caches.ts";
import { createTtlLru } from "../../src/base/ttl-lru.ts";

const bytesOfOne = 100_000;

function filled(entries: number, maxBytes = 64_000_000) {
  const settings = { enabled: true, maxEntries: 1000, maxBytes, ttlMs: 1000 };
  const cache = createTtlLru<number>(settings, () => 0);
  for (let at = 0; at < entries; at += 1) cache.keep(`${at}`, at, bytesOfOne);
  return cache;
}

test("half of the bytes go, the least used first, and what comes later replaces instead of growing", () => {
  const cache = filled(40);
  expect(createHalvedCaches([cache]).halve()).toBe(20 * bytesOfOne);
  expect(cache.stats().bytes).toBe(20 * bytesOfOne);
  expect(cache.find("39")).toBeDefined();
  expect(cache.find("0")).toBeUndefined();
  for (let at = 100; at < 140; at += 1) cache.keep(`${at}`, at, bytesOfOne);
  expect(cache.stats().bytes).toBe(20 * bytesOfOne);
});

test("they are halved once, until they have been given back their limits", () => {
  const cache = filled(40);
  const caches = createHalvedCaches([cache]);
  caches.halve();
  expect(caches.halve()).toBe(0);
  caches.restore();
  expect(cache.settings().maxBytes).toBe(64_000_000);
  expect(caches.halve()).toBe(10 * bytesOfOne);
});

test("a small cache keeps a megabyte, and none gets more than it had", () => {
  const [small, tiny] = [filled(4), filled(4, 500_000)];
  createHalvedCaches([small, tiny]).halve();
  expect([small.settings().maxBytes, tiny.settings().maxBytes]).toEqual([1_000_000, 500_000]);
});

test("a limit that an operator sets in between stays", () => {
  const [touched, other] = [filled(40), filled(40)];
  const caches = createHalvedCaches([touched, other]);
  caches.halve();
  touched.configure({ maxBytes: 3_000_000 });
  caches.restore();
  expect([touched.settings().maxBytes, other.settings().maxBytes]).toEqual([3_000_000, 64_000_000]);
});
