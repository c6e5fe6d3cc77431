// How many slots an engine has by its own word, as it says it second by second.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { SlotLimit } from "../../src/fleet/slot-limit.ts";
import { createSlotLimit, slotLimitRule } from "../../src/fleet/slot-limit.ts";

/** An engine that runs `runs` at once and queues the rest, under a demand that fills whatever slots there are. */
function under(limit: SlotLimit, runs: number, demand: number, seconds: number): number[] {
  return Array.from({ length: seconds }, () => {
    const inflight = Math.min(limit.slots, demand);
    if (inflight >= limit.slots) limit.reached(now);
    limit.said(Math.min(runs, inflight), Math.max(0, inflight - runs), inflight, next());
    return limit.slots;
  });
}

let now = 0;
const next = (): number => {
  now += 1000;
  return now;
};

describe("the slots of an engine", () => {
  test("configured eight times too many are what it runs after the second word, and stay within one of it", () => {
    const limit = createSlotLimit(64);
    const seen = under(limit, 8, 200, 60);
    expect(seen.slice(0, 2)).toEqual([64, 8]);
    expect(Math.min(...seen.slice(2))).toBeGreaterThanOrEqual(8);
    expect(Math.max(...seen.slice(2))).toBeLessThanOrEqual(10);
  });

  test("stay as configured while it has no queue, or a short one beside what it runs", () => {
    const limit = createSlotLimit(64);
    expect(new Set(under(limit, 64, 200, 20))).toEqual(new Set([64]));
    for (let word = 0; word < 5; word += 1) limit.said(60, 6, 64, next());
    expect(limit.slots).toBe(64);
  });

  test("stay as they are when a queue is seen once: a burst is no lack", () => {
    const limit = createSlotLimit(64);
    limit.said(8, 20, 28, next());
    limit.said(28, 0, 28, next());
    limit.said(8, 20, 28, next());
    expect(limit.slots).toBe(64);
  });

  test("come back when it runs more, up to what is configured and no further", () => {
    const limit = createSlotLimit(64);
    under(limit, 8, 200, 5);
    const seen = under(limit, 1000, 200, 60);
    expect(seen.at(-1)).toBe(64);
    expect(Math.max(...seen)).toBe(64);
  });

  test("are as configured again where the engine has said nothing of its queue for half a minute", () => {
    const limit = createSlotLimit(64);
    under(limit, 8, 200, 5);
    const then = now;
    limit.reached(then + slotLimitRule.forgetMs - 1);
    expect(limit.slots).toBeLessThan(12);
    limit.reached(then + slotLimitRule.forgetMs);
    expect(limit.slots).toBe(64);
  });

  test("are whole, and at least one, whatever an engine says", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.oneof(fc.double(), fc.integer({ min: -5, max: 100 })),
            fc.oneof(fc.double(), fc.integer({ min: -5, max: 100 })),
            fc.nat(80),
          ),
        ),
        (words) => {
          const limit = createSlotLimit(64);
          for (const [running, waiting, inflight] of words) {
            if (inflight >= limit.slots) limit.reached(now);
            limit.said(running, waiting, inflight, next());
            expect(Number.isInteger(limit.slots) && limit.slots >= 1 && limit.slots <= 64).toBe(true);
          }
        },
      ),
    );
  });

  test("do not grow while they are not all taken", () => {
    const limit = createSlotLimit(64);
    under(limit, 8, 200, 5);
    const before = limit.slots;
    expect(new Set(under(limit, 1000, 4, 20)).size).toBeLessThanOrEqual(2);
    expect(limit.slots).toBeLessThanOrEqual(before + 1);
  });

  test("are as configured where the engine says nothing of its queue", () => {
    const limit = createSlotLimit(64);
    for (let word = 0; word < 10; word += 1) {
      limit.reached(now);
      limit.said(undefined, undefined, 64, next());
      limit.said(8, undefined, 64, next());
    }
    expect(limit.slots).toBe(64);
  });

  test("are not taken away for a queue that others have made", () => {
    const limit = createSlotLimit(64);
    for (let word = 0; word < 10; word += 1) limit.said(60, 40, 2, next());
    expect(limit.slots).toBe(64);
  });

  test("are not taken away by an engine that runs nothing: it sleeps, and says nothing of what it could", () => {
    const limit = createSlotLimit(64);
    for (let word = 0; word < 10; word += 1) limit.said(0, 20, 20, next());
    expect(limit.slots).toBe(64);
  });

  test("change at most once in a while, however often it speaks", () => {
    const limit = createSlotLimit(64);
    now += 10_000;
    for (let word = 0; word < 100; word += 1) limit.said(8, 56, 64, now + word);
    expect(limit.slots).toBe(64);
    expect(slotLimitRule.everyMs).toBeGreaterThan(100);
  });

  test("follow another configuration: what was learned stays, unless it is more", () => {
    const limit = createSlotLimit(64);
    limit.reconfigure(32);
    expect(limit.slots).toBe(32);
    under(limit, 8, 200, 2);
    limit.reconfigure(128);
    expect(limit.slots).toBe(8);
    limit.reconfigure(4);
    expect(limit.slots).toBe(4);
  });

  test("are never fewer than one or more than configured, nor fewer than it runs of ours, whatever it says", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 100 }),
        fc.array(
          fc.record({
            running: fc.nat(200),
            waiting: fc.nat(200),
            inflight: fc.nat(100),
            full: fc.boolean(),
          }),
        ),
        (most, words) => {
          const limit = createSlotLimit(most);
          for (const { running, waiting, inflight, full } of words) {
            if (full) limit.reached(now);
            const before = limit.slots;
            limit.said(running, waiting, inflight, next());
            expect(limit.slots).toBeGreaterThanOrEqual(1);
            expect(limit.slots).toBeLessThanOrEqual(most);
            expect(limit.slots).toBeGreaterThanOrEqual(Math.min(before, inflight, Math.max(1, running)));
          }
        },
      ),
    );
  });
});
