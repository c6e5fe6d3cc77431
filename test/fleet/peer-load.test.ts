// How loaded a peer's endpoint is taken to be, by what was said when and what we have there ourselves.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Load } from "../../src/fleet/load.ts";
import { createPeerLoad, peerLoadRule } from "../../src/fleet/peer-load.ts";

const start = 1_000_000;
const figure = (at: number, inflight: number, waiting = 0): Load => ({
  at,
  inflight,
  waiting,
  kvPercent: undefined,
  firstByteMs: undefined,
});
const all = (free: number): number => Math.max(0, free);
const none = (): number => 0;

describe("the slots that others hold at a peer", () => {
  test("are what it says, the waiting included", () => {
    const load = createPeerLoad(all);
    load.announced(figure(1, 3, 2), 0, start);
    expect(load.usedByOthers(8, start)).toBe(5);
  });

  test("are neutral, half of all, before it has spoken and three seconds after it did: never idle", () => {
    const load = createPeerLoad(all);
    expect(load.usedByOthers(8, start)).toBe(4);
    load.announced(figure(1, 0), 0, start);
    expect(load.usedByOthers(8, start + 3000)).toBe(0);
    expect(load.usedByOthers(8, start + 3001)).toBe(4);
    expect(load.known(start + 3000)).toBeDefined();
    expect(load.known(start + 3001)).toBeUndefined();
  });

  test("are of no use at all after ten seconds", () => {
    const load = createPeerLoad(all);
    expect(load.useless(start)).toBe(true);
    load.announced(figure(1, 0), 0, start);
    expect([load.useless(start + 10_000), load.useless(start + 10_001)]).toEqual([false, true]);
  });

  test("do not include ours that were there all the while between two figures", () => {
    const load = createPeerLoad(all);
    load.announced(figure(1, 0), 0, start);
    // Five of ours have begun since: the next figure counts them, or perhaps it was taken before they came.
    load.announced(figure(2, 5), 5, start + 1000);
    expect(load.usedByOthers(8, start + 1000)).toBe(5);
    load.announced(figure(3, 6), 5, start + 2000);
    expect(load.usedByOthers(8, start + 2000)).toBe(1);
  });

  test("include all that is counted where ours came and went meanwhile", () => {
    const load = createPeerLoad(all);
    load.announced(figure(1, 4), 4, start);
    load.ended(0);
    load.announced(figure(2, 4), 4, start + 1000);
    expect(load.usedByOthers(8, start + 1000)).toBe(4);
  });

  test("are by its newest word, whichever way that came", () => {
    const load = createPeerLoad(all);
    load.hinted(figure(7, 6), 1, start);
    load.announced(figure(5, 0), 1, start + 10);
    expect(load.usedByOthers(8, start + 10)).toBe(6);
    load.announced(figure(8, 1), 1, start + 20);
    expect(load.usedByOthers(8, start + 20)).toBe(0);
  });

  test("do not get younger by being told again", () => {
    const load = createPeerLoad(all);
    load.announced(figure(5, 0), 0, start);
    load.announced(figure(5, 0), 0, start + 2500);
    expect(load.known(start + 3001)).toBeUndefined();
  });
});

describe("our share of the news", () => {
  test("is what we may have there beyond what the news counts of ours already", () => {
    const load = createPeerLoad(() => 2);
    load.announced(figure(1, 0), 0, start);
    expect([0, 1, 2].map((own) => load.permits(8, own))).toEqual([true, true, false]);
    load.announced(figure(2, 3), 3, start + 250);
    load.announced(figure(3, 3), 3, start + 500);
    expect([4, 5].map((own) => load.permits(8, own))).toEqual([true, false]);
  });

  test("is charged with what its host had perhaps not seen when it spoke", () => {
    const load = createPeerLoad(() => 2);
    load.announced(figure(1, 0), 0, start);
    load.announced(figure(2, 0), 2, start + 250);
    expect(load.permits(8, 2)).toBe(false);
  });

  test("grows by one with each answer, until the next news", () => {
    const load = createPeerLoad(none);
    load.announced(figure(1, 0), 0, start);
    expect(load.permits(8, 0)).toBe(false);
    load.hinted(figure(2, 1), 1, start + 1);
    expect([1, 2].map((own) => load.permits(8, own))).toEqual([true, false]);
    load.announced(figure(3, 1), 1, start + 2);
    expect(load.permits(8, 1)).toBe(false);
  });

  test("is drawn once for each piece of news, by its time", () => {
    const asked: number[][] = [];
    const load = createPeerLoad((free, slots, lot) => {
      asked.push([free, slots, lot]);
      return 1;
    });
    load.announced(figure(41, 3, 1), 0, start);
    load.permits(8, 0);
    load.permits(8, 0);
    load.announced(figure(42, 9), 0, start);
    load.permits(8, 0);
    expect(asked).toEqual([
      [4, 8, 41],
      [-1, 8, 42],
    ]);
  });
});

test("a stale figure never makes a peer look less loaded than neutral", () => {
  fc.assert(
    fc.property(
      fc.nat(100),
      fc.nat(100),
      fc.integer({ min: 1, max: 64 }),
      fc.integer({ min: 3001, max: 1e6 }),
      (inflight, own, slots, ageMs) => {
        const load = createPeerLoad(all);
        load.announced(figure(1, inflight), own, start);
        const used = load.usedByOthers(slots, start + ageMs);
        expect(used).toBeGreaterThanOrEqual(slots * peerLoadRule.neutral);
      },
    ),
  );
});
