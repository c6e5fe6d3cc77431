// The cache never exceeds its limits, lets go of what is over, and counts exactly.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { CacheSettings } from "../../src/base/cache-control.ts";
import { createTtlLru } from "../../src/base/ttl-lru.ts";
import { virtualClock } from "../support/virtual-clock.ts";

function cacheOf(settings: Partial<CacheSettings> = {}) {
  const clock = virtualClock();
  const cache = createTtlLru<string>(
    { enabled: true, maxEntries: 3, maxBytes: 100, ttlMs: 1000, ...settings },
    clock.now,
  );
  const keys = () => cache.entries({ limit: 1000 }).entries.map(({ key }) => key);
  return { clock, cache, keys };
}

describe("a TTL LRU", () => {
  test("gives back what it keeps, with its age, and counts the hit", async () => {
    const { clock, cache } = cacheOf();
    cache.keep("a", "A", 10);
    await clock.advance(400);
    expect(cache.find("a")).toEqual({ value: "A", ageMs: 400 });
    expect(cache.find("b")).toBeUndefined();
    expect(cache.stats()).toMatchObject({ entries: 1, bytes: 10, hits: 1, misses: 0 });
  });

  test("what does not hold is not found, is not used by that, and is found when it holds again", () => {
    const { cache, keys } = cacheOf();
    cache.keep("a", "A", 1);
    cache.keep("b", "B", 1);
    expect(cache.find("a", (value) => value !== "A")).toBeUndefined();
    expect([keys(), cache.stats().hits]).toEqual([["b", "a"], 0]);
    expect(cache.find("a", (value) => value === "A")?.value).toBe("A");
    expect(keys()).toEqual(["a", "b"]);
  });

  test("evicts the least recently used one when there are too many", () => {
    const { cache, keys } = cacheOf();
    for (const key of ["a", "b", "c"]) cache.keep(key, key, 1);
    cache.find("a");
    cache.keep("d", "d", 1);
    expect(keys()).toEqual(["d", "a", "c"]);
    expect(cache.stats()).toMatchObject({ entries: 3, evictions: 1 });
  });

  test("evicts as many as a heavy one needs, and remembers the peak", () => {
    const { cache, keys } = cacheOf();
    for (const key of ["a", "b", "c"]) cache.keep(key, key, 30);
    cache.keep("d", "d", 70);
    expect(keys()).toEqual(["d", "c"]);
    expect(cache.stats()).toMatchObject({ bytes: 100, peakBytes: 100, evictions: 2 });
  });

  test("keeps nothing that is larger than the limit, and not what it would have replaced", () => {
    const { cache, keys } = cacheOf();
    cache.keep("a", "old", 10);
    cache.keep("b", "b", 10);
    cache.keep("a", "new", 101);
    expect(keys()).toEqual(["b"]);
    expect(cache.stats()).toMatchObject({ bytes: 10, evictions: 0 });
  });

  test("drops what is over at its very end, when it is found", async () => {
    const { clock, cache } = cacheOf();
    cache.keep("a", "A", 1);
    cache.keep("own", "O", 1, 200);
    await clock.advance(199);
    expect(cache.find("own")?.value).toBe("O");
    await clock.advance(1);
    expect(cache.find("own")).toBeUndefined();
    await clock.advance(800);
    expect(cache.find("a")).toBeUndefined();
    expect(cache.stats()).toMatchObject({ entries: 0, bytes: 0, expirations: 2, evictions: 0 });
    expect(clock.pending()).toBe(0);
  });

  test("drops what is over before anything alive, when it makes room", async () => {
    const { clock, cache, keys } = cacheOf();
    cache.keep("alive", "x", 1);
    cache.keep("short", "x", 1, 10);
    cache.keep("alive too", "x", 1);
    cache.find("short");
    await clock.advance(10);
    cache.keep("new", "x", 1);
    expect(keys()).toEqual(["new", "alive too", "alive"]);
    expect(cache.stats()).toMatchObject({ expirations: 1, evictions: 0 });
  });

  test("a changed TTL is in force for what is kept already, and wakes nothing that was over", async () => {
    const { clock, cache, keys } = cacheOf();
    cache.keep("old", "x", 1);
    await clock.advance(600);
    cache.keep("young", "x", 1);
    cache.configure({ ttlMs: 500 });
    expect(keys()).toEqual(["young"]);
    expect(cache.stats().expirations).toBe(1);
    await clock.advance(500);
    cache.configure({ ttlMs: 10_000 });
    expect(keys()).toEqual([]);
  });

  test("smaller limits evict at once, larger ones let it grow beyond its first slots", () => {
    const { cache, keys } = cacheOf({ maxEntries: 3000, maxBytes: 10_000 });
    for (let index = 0; index < 3000; index += 1) cache.keep(`k${index}`, "x", 1);
    expect(cache.stats()).toMatchObject({ entries: 3000, evictions: 0 });
    cache.configure({ maxEntries: 2 });
    expect(keys()).toEqual(["k2999", "k2998"]);
    cache.configure({ maxBytes: 1 });
    expect(keys()).toEqual(["k2999"]);
    expect(cache.stats()).toMatchObject({ evictions: 2999, bytes: 1, peakBytes: 3000 });
    cache.configure({ maxEntries: 600, maxBytes: 10_000 });
    for (let index = 0; index < 700; index += 1) cache.keep(`n${index}`, "x", 1);
    expect(keys().at(-1)).toBe("n100");
    expect(cache.stats().entries).toBe(600);
  });

  test("switched off it holds, answers and keeps nothing", () => {
    const { cache } = cacheOf();
    cache.keep("a", "A", 1);
    cache.configure({ enabled: false });
    cache.keep("b", "B", 1);
    expect([cache.find("a"), cache.find("b")]).toEqual([undefined, undefined]);
    expect(cache.stats()).toMatchObject({ enabled: false, entries: 0, bytes: 0 });
    cache.configure({ enabled: true });
    expect(cache.find("a")).toBeUndefined();
  });

  test("clears by prefix, and resets its figures when told", () => {
    const { cache, keys } = cacheOf();
    cache.keep("aa", "x", 1);
    cache.keep("ab", "x", 2);
    cache.keep("b", "x", 4);
    cache.find("b");
    expect(cache.clear({ archetype: "guard" })).toBe(0);
    expect(cache.clear({ prefix: "a" })).toBe(2);
    expect(keys()).toEqual(["b"]);
    expect(cache.stats()).toMatchObject({ hits: 1, evictions: 0, peakBytes: 7 });
    expect(cache.clear({ resetStats: true })).toBe(1);
    expect(cache.stats()).toMatchObject({ entries: 0, bytes: 0, hits: 0, peakBytes: 0 });
  });

  test("shows its entries page by page, most recently used first", async () => {
    const { clock, cache } = cacheOf({ maxEntries: 10 });
    for (const key of ["a1", "a2", "b1", "a3"]) cache.keep(key, key, 5);
    await clock.advance(100);
    cache.find("a1");
    await clock.advance(50);
    const first = cache.entries({ limit: 2, prefix: "a" });
    expect(first).toEqual({
      entries: [
        { key: "a1", bytes: 5, ageMs: 150, ttlMs: 850, hits: 1, lastHitMs: 50 },
        { key: "a3", bytes: 5, ageMs: 150, ttlMs: 850, hits: 0, lastHitMs: undefined },
      ],
      next: expect.stringMatching(/^a3@\d+$/),
    });
    // A bare key will do as long as its entry stays where it is.
    for (const after of [first.next, "a3"]) {
      expect(cache.entries({ limit: 2, prefix: "a", after })).toMatchObject({
        entries: [{ key: "a2" }],
        next: undefined,
      });
    }
    for (const after of ["gone", "", "@", "a3@x"]) {
      expect(cache.entries({ limit: 2, after })).toEqual({ entries: [], next: undefined });
    }
  });

  for (const meddle of ["find", "clear", "keep"] as const) {
    test(`paging ends and shows each entry once although there is a ${meddle} of every page's last one`, () => {
      const { cache, keys } = cacheOf({ maxEntries: 100 });
      for (let index = 0; index < 25; index += 1) cache.keep(`k${index}`, "x", 1);
      const all = keys();
      const seen: string[] = [];
      let page = cache.entries({ limit: 10 });
      for (let pages = 1; pages < 10 && page.next !== undefined; pages += 1) {
        seen.push(...page.entries.map(({ key }) => key));
        const last = seen.at(-1) ?? "";
        if (meddle === "find") cache.find(last);
        else if (meddle === "clear") cache.clear({ prefix: last });
        else cache.keep(last, "y", 1);
        page = cache.entries({ limit: 10, after: page.next });
      }
      expect(page.next).toBeUndefined();
      expect([...seen, ...page.entries.map(({ key }) => key)]).toEqual(all);
    });
  }

  test("takes entries back with their ages, and lets nothing that is here go for them", async () => {
    const { clock, cache, keys } = cacheOf({ maxEntries: 2 });
    cache.keep("here", "new", 1);
    const entry = { value: "old", bytes: 1, ageMs: 900, ttlMs: undefined };
    expect(cache.restore("here", entry)).toBe(false);
    expect(cache.restore("over", { ...entry, ageMs: 1000 })).toBe(false);
    expect(cache.restore("heavy", { ...entry, bytes: 100 })).toBe(false);
    expect(cache.restore("back", entry)).toBe(true);
    expect(cache.restore("no room", entry)).toBe(false);
    expect(keys()).toEqual(["back", "here"]);
    expect(cache.find("back")).toEqual({ value: "old", ageMs: 900 });
    expect([...cache.kept()].map(([key]) => key)).toEqual(["back", "here"]);
    await clock.advance(100);
    expect([...cache.kept()].map(([key]) => key)).toEqual(["here"]);
  });

  test("after any operations: within its limits, its bytes the sum of its entries, every entry accounted for", () => {
    const key = fc.nat(40).map((n) => `k${n}`);
    const operation = fc.oneof(
      fc.record({ do: fc.constant("keep" as const), key, bytes: fc.nat(60), ttl: fc.option(fc.nat(300)) }),
      fc.record({ do: fc.constant("find" as const), key }),
      fc.record({ do: fc.constant("wait" as const), ms: fc.nat(400) }),
      fc.record({ do: fc.constant("restore" as const), key, bytes: fc.nat(60), ageMs: fc.nat(600) }),
      fc.record({ do: fc.constant("clear" as const), prefix: fc.constantFrom("k1", "k2", "none") }),
      fc.record({
        do: fc.constant("configure" as const),
        change: fc.oneof(
          fc.record({ maxEntries: fc.nat(30) }),
          fc.record({ maxBytes: fc.nat(600) }),
          fc.record({ ttlMs: fc.nat(600) }),
          fc.record({ enabled: fc.boolean() }),
        ),
      }),
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 120 }), (operations) => {
        let now = 1_000_000;
        const cache = createTtlLru<string>(
          { enabled: true, maxEntries: 20, maxBytes: 400, ttlMs: 500 },
          () => now,
        );
        let arrived = 0;
        let cleared = 0;
        let hits = 0;
        for (const step of operations) {
          const { maxEntries, maxBytes, enabled, ttlMs } = cache.settings();
          if (step.do === "keep") {
            const replaces = cache.entries({ limit: 100 }).entries.some((entry) => entry.key === step.key);
            if (replaces) cleared += 1;
            cache.keep(step.key, step.key, step.bytes, step.ttl ?? undefined);
            if (enabled && maxEntries > 0 && step.bytes <= maxBytes) arrived += 1;
          } else if (step.do === "find") {
            const found = cache.find(step.key);
            if (found !== undefined) {
              hits += 1;
              expect(found.value).toBe(step.key);
              expect(found.ageMs).toBeLessThan(Math.max(ttlMs, 300));
            }
          } else if (step.do === "wait") now += step.ms;
          else if (step.do === "clear") cleared += cache.clear({ prefix: step.prefix });
          else if (step.do === "configure") cache.configure(step.change);
          else {
            const { key: name, bytes, ageMs } = step;
            if (cache.restore(name, { value: name, bytes, ageMs, ttlMs: undefined })) arrived += 1;
          }
          const stats = cache.stats();
          const { entries } = cache.entries({ limit: 1000 });
          expect(stats.entries).toBe(entries.length);
          expect(stats.bytes).toBe(entries.reduce((sum, entry) => sum + entry.bytes, 0));
          expect(stats.entries).toBeLessThanOrEqual(stats.maxEntries);
          expect(stats.bytes).toBeLessThanOrEqual(stats.maxBytes);
          expect(stats.peakBytes).toBeGreaterThanOrEqual(stats.bytes);
          expect(arrived).toBe(stats.entries + stats.evictions + stats.expirations + cleared);
          expect(stats.hits).toBe(hits);
          expect(new Set(entries.map((entry) => entry.key)).size).toBe(entries.length);
        }
      }),
      { numRuns: 200 },
    );
  });
});
