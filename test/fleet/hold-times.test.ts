// How long like requests hold a slot.

import { describe, expect, test } from "bun:test";
import { createHoldTimes, holdRule } from "../../src/fleet/hold-times.ts";

const start = 1_000_000;

describe("what is enough for an answer", () => {
  const holds = createHoldTimes();
  const add = (like: string, ms: number, times: number, stream = true): void => {
    for (let turn = 0; turn < times; turn += 1) holds.add(like, stream, ms, start);
  };

  test("is unknown before the fifth of its likes", () => {
    add("realtime", 100, 4);
    expect(holds.enoughMs("realtime", true)).toBeUndefined();
    add("realtime", 100, 1);
    expect(holds.enoughMs("realtime", true)).toBeGreaterThanOrEqual(100);
    expect(holds.enoughMs("realtime", true)).toBeLessThan(121);
  });

  test("is that of its class, streams and whole answers apart", () => {
    add("interactive", 5000, 10);
    add("realtime", 900, 10, false);
    expect(holds.enoughMs("realtime", true)).toBeLessThan(121);
    expect(holds.enoughMs("interactive", true)).toBeGreaterThanOrEqual(5000);
    expect(holds.enoughMs("realtime", false)).toBeGreaterThanOrEqual(900);
    expect(holds.enoughMs("interactive", false)).toBeUndefined();
  });

  test("is what nine of ten took at most", () => {
    const mixed = createHoldTimes();
    for (let ms = 1; ms <= 100; ms += 1) mixed.add("realtime", true, 10 * ms, start);
    expect(mixed.enoughMs("realtime", true)).toBeGreaterThanOrEqual(900);
    expect(mixed.enoughMs("realtime", true)).toBeLessThan(1090);
  });

  test("forgets a bad hour: minutes later the new answers count", () => {
    const aging = createHoldTimes();
    for (let turn = 0; turn < 100; turn += 1) aging.add("realtime", true, 5000, start);
    for (let turn = 0; turn < 50; turn += 1) aging.add("realtime", true, 100, start + 600_000);
    expect(aging.enoughMs("realtime", true)).toBeLessThan(121);
  });

  test("is kept for so many classes and no more", () => {
    const many = createHoldTimes();
    for (let like = 0; like < 2 * holdRule.likesMost; like += 1)
      for (let turn = 0; turn < 5; turn += 1) many.add(String(like), true, 100, start);
    expect(many.enoughMs(String(holdRule.likesMost - 1), true)).toBeDefined();
    expect(many.enoughMs(String(holdRule.likesMost), true)).toBeUndefined();
  });
});
