// Who is asked next, and who goes when there is no place.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { IntentQueue } from "../../src/dispatch/intent-queue.ts";
import { createIntentQueue, unhurried } from "../../src/dispatch/intent-queue.ts";

function drained(queue: IntentQueue<string>, urgencies: Readonly<Record<string, number>>): string[] {
  const all: string[] = [];
  for (let next = queue.next(); next !== undefined; next = queue.next()) {
    all.push(next);
    queue.remove(next, urgencies[next] ?? unhurried);
  }
  return all;
}

describe("the queue of questions", () => {
  test("gives those that somebody waits for by urgency, then the others by age", () => {
    const queue = createIntentQueue<string>(10);
    const urgencies = { late: 30, soon: 10, "as soon, but later here": 10 };
    queue.put("refresh", unhurried);
    for (const [who, urgency] of Object.entries(urgencies)) queue.put(who, urgency);
    queue.put("second refresh", unhurried);
    expect(queue.urgency).toBe(10);
    expect(drained(queue, urgencies)).toEqual([
      "soon",
      "as soon, but later here",
      "late",
      "refresh",
      "second refresh",
    ]);
    expect([queue.size, queue.urgency]).toEqual([0, unhurried]);
  });

  /** A full queue of two, the newcomer, and who must go. */
  const crowds: readonly (readonly [
    title: string,
    of: readonly [number, number],
    newcomer: number,
    goes: string,
  ])[] = [
    ["the oldest refresh goes first, for a miss", [unhurried, unhurried], 99, "first"],
    ["and for a refresh, which is of newer need", [unhurried, unhurried], unhurried, "first"],
    ["a refresh goes before the least urgent miss", [99, unhurried], 10, "second"],
    ["the least urgent miss goes for a more urgent one", [10, 20], 15, "second"],
    ["the newcomer goes where it is the least urgent", [10, 20], 20, "newcomer"],
    ["a refresh finds no place among misses", [10, 20], unhurried, "newcomer"],
  ];
  for (const [title, [first, second], newcomer, goes] of crowds) {
    test(`when it is full, ${title}`, () => {
      const queue = createIntentQueue<string>(2);
      queue.put("first", first);
      queue.put("second", second);
      expect(queue.put("newcomer", newcomer)).toBe(goes);
      expect(queue.size).toBe(2);
    });
  }

  test("holds no more than it may, loses nothing, and keeps the order, whatever happens", () => {
    const step = fc.record({
      who: fc.nat(30),
      urgency: fc.option(fc.nat(20), { nil: unhurried }),
      gone: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const queue = createIntentQueue<number>(8);
        const model = new Map<number, number>();
        for (const { who, urgency, gone } of steps) {
          if (model.has(who)) {
            queue.remove(who, model.get(who) ?? unhurried);
            // Removing what is not there, or is elsewhere, does nothing.
            queue.remove(who, model.get(who) ?? unhurried);
            model.delete(who);
          }
          if (gone) continue;
          const evicted = queue.put(who, urgency);
          model.set(who, urgency);
          if (evicted !== undefined) model.delete(evicted);
          expect(queue.size).toBe(model.size);
          expect(queue.size).toBeLessThanOrEqual(8);
        }
        const order: number[] = [];
        for (let next = queue.next(); next !== undefined; next = queue.next()) {
          expect(model.has(next)).toBe(true);
          const urgency = model.get(next) ?? unhurried;
          order.push(urgency);
          queue.remove(next, urgency);
        }
        expect(order.length).toBe(model.size);
        expect(order).toEqual(order.toSorted((a, b) => (a === b ? 0 : a - b)));
      }),
      { numRuns: 300 },
    );
  });
});
