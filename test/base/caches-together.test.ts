// Two caches behind one control: set and cleared together, counted as one, paged through one after the other.

import { expect, test } from "bun:test";
import { together } from "../../src/base/caches-together.ts";
import { createTtlLru } from "../../src/base/ttl-lru.ts";

const settings = { enabled: true, maxEntries: 10, maxBytes: 1000, ttlMs: 1000 };

function scene(firstKeys: string, secondKeys: string) {
  const first = createTtlLru<number>(settings, () => 0);
  const second = createTtlLru<number>(settings, () => 0);
  for (const key of firstKeys) first.keep(key, 1, 10);
  for (const key of secondKeys) second.keep(key, 1, 10);
  return { first, second, both: together(first, second) };
}

test.each([1, 2, 3, 4, 10])("every entry is on one page, with %p on each", (limit) => {
  for (const [firstKeys, secondKeys] of [
    ["abc", "xyz"],
    ["abc", ""],
    ["", "xyz"],
    ["", ""],
  ] as const) {
    const { both } = scene(firstKeys, secondKeys);
    const seen: string[] = [];
    let after: string | undefined;
    let pages = 0;
    do {
      const page = both.entries({ limit, after });
      expect(page.entries.length).toBeLessThanOrEqual(limit);
      seen.push(...page.entries.map(({ key }) => key));
      after = page.next;
      pages += 1;
    } while (after !== undefined && pages < 20);
    expect(seen.toSorted().join("")).toBe(firstKeys + secondKeys);
  }
});

test("a change and a clearing reach both", () => {
  const { first, second, both } = scene("abc", "xyz");
  both.configure({ maxEntries: 2 });
  expect([first.stats().entries, second.stats().entries]).toEqual([2, 2]);
  expect(both.stats()).toMatchObject({ entries: 4, maxEntries: 4, bytes: 40, evictions: 2 });
  expect(both.clear({})).toBe(4);
  expect(both.stats().entries).toBe(0);
});
