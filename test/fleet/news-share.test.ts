// How the routers that want more divide what a host has free, without a word between them.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { hash32 } from "../../src/base/hash32.ts";
import { newsShare } from "../../src/fleet/news-share.ts";

const everyMs = 250;
const hashes = (count: number): number[] =>
  Array.from({ length: count }, (_, index) => hash32(`router-${index}`));
const host = hash32("host-of-the-news");
const news = (free: number, slots: number, at: number) => ({
  free,
  slots,
  at,
  host,
  endpoint: hash32("host-of-the-news/vllm"),
});

/** What each of them takes for its share, all being short. */
function shares(free: number, slots: number, senders: number, at: number): number[] {
  const routers = hashes(senders);
  const short = new Set([...routers, host]);
  return routers.map((own) => newsShare(news(free, slots, at), short, own, everyMs));
}
const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

describe("the shares of a piece of news", () => {
  test("add up to what is free, exactly, where more routers are short than there are slots", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 64 }),
        fc.integer({ min: 1, max: 60 }),
        fc.nat(),
        (slots, more, at) => {
          const senders = slots + 2 + more;
          for (const free of [1, Math.ceil(slots / 2), slots])
            expect(sum(shares(free, slots, senders, at))).toBe(free);
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
        (slots, senders, at) => {
          for (const free of [1, Math.ceil(slots / 2), slots]) {
            const each = shares(free, slots, senders, at);
            expect(sum(each)).toBeLessThanOrEqual(2 * slots);
            if (senders <= slots) expect(Math.min(...each)).toBeGreaterThanOrEqual(1);
          }
        },
      ),
      { numRuns: 100 },
    );
  });

  test("are everything for whoever asks where nobody is short or one other is, and nothing of nothing", () => {
    const [one = 0, two = 0] = hashes(2);
    for (const short of [[], [host], [one], [one, host], [two], [one, two, host]])
      expect(newsShare(news(8, 16, 5), new Set(short), one, everyMs)).toBe(8);
    for (const free of [0, -3]) expect(shares(free, 16, 3, 5)).toEqual([0, 0, 0]);
  });

  test("are counted among those who are short and whoever asks", () => {
    const short = new Set([...hashes(3), host]);
    expect(newsShare(news(8, 8, 1), short, hash32("in-no-need"), everyMs)).toBe(2);
  });

  test("of two adverts in a row fall mostly to the same routers", () => {
    let inBoth = 0;
    for (let advert = 0; advert < 100; advert += 1) {
      const first = shares(16, 64, 80, advert * everyMs);
      const second = shares(16, 64, 80, (advert + 1) * everyMs);
      inBoth += sum(first.map((share, router) => share * (second[router] ?? 0)));
    }
    expect(inBoth / 100).toBeGreaterThan(16 * 0.6);
  });

  test("come to all in the long run, alike: of 4000 adverts of one slot each of 40 routers has between 40 and 200", () => {
    const taken = Array.from({ length: 40 }, () => 0);
    for (let advert = 0; advert < 4000; advert += 1) {
      const winner = shares(1, 1, 40, advert * everyMs).indexOf(1);
      taken[winner] = (taken[winner] ?? 0) + 1;
    }
    expect(Math.min(...taken)).toBeGreaterThan(40);
    expect(Math.max(...taken)).toBeLessThan(200);
  });

  test("come in another order at another endpoint", () => {
    const short = new Set(hashes(20));
    const turnsAt = (endpoint: number): number[] =>
      Array.from({ length: 20 }, (_, tick) =>
        hashes(20).findIndex(
          (own) => newsShare({ ...news(1, 1, tick * everyMs), endpoint }, short, own, everyMs) === 1,
        ),
      );
    expect(turnsAt(hash32("a/vllm"))).not.toEqual(turnsAt(hash32("b/vllm")));
  });
});
