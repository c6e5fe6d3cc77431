// How the routers divide what a host has free, without a word between them.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { hash32 } from "../../src/base/hash32.ts";
import { newsShare } from "../../src/fleet/news-share.ts";

const hashes = (count: number): number[] =>
  Array.from({ length: count }, (_, index) => hash32(`router-${index}`));
const host = hash32("host-of-the-news");

/** What each of them takes for its share. */
function shares(free: number, slots: number, senders: number, lot: number): number[] {
  const routers = hashes(senders);
  const all = new Set([...routers, host]);
  return routers.map((own) => newsShare(free, slots, all, own, host, lot));
}
const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

describe("the shares of a piece of news", () => {
  test("add up to what is free, exactly, where there are more routers than slots", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 1, max: 60 }),
        fc.nat(),
        (slots, more, lot) => {
          const senders = slots + 2 + more;
          for (const free of [1, Math.ceil(slots / 2), slots])
            expect(sum(shares(free, slots, senders, lot))).toBe(free);
        },
      ),
      { numRuns: 50 },
    );
  });

  test("never add up to more than twice the slots, and give everybody one where everybody could have one", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 1, max: 64 }),
        fc.nat(),
        (slots, senders, lot) => {
          for (const free of [1, Math.ceil(slots / 2), slots]) {
            const each = shares(free, slots, senders, lot);
            expect(sum(each)).toBeLessThanOrEqual(2 * slots);
            if (senders <= slots) expect(Math.min(...each)).toBeGreaterThanOrEqual(1);
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  test("are everything for the one or two who are there, and nothing of nothing", () => {
    expect(shares(8, 16, 1, 5)).toEqual([8]);
    expect(shares(8, 16, 2, 5)).toEqual([8, 8]);
    for (const free of [0, -3]) expect(shares(free, 16, 3, 5)).toEqual([0, 0, 0]);
  });

  test("fall to others with the next news: in 200 pieces of it each of 20 routers has between 2 and 25 of one slot", () => {
    const turns = Array.from({ length: 200 }, (_, lot) => shares(1, 1, 20, lot * 250));
    for (let router = 0; router < 20; router += 1) {
      const taken = sum(turns.map((each) => each[router] ?? 0));
      expect(taken).toBeGreaterThanOrEqual(2);
      expect(taken).toBeLessThanOrEqual(25);
    }
  });

  test("are there for a router that its own table does not know", () => {
    const others = new Set([...hashes(3), host]);
    expect(newsShare(8, 8, others, hash32("stranger"), host, 1)).toBe(2);
  });
});
