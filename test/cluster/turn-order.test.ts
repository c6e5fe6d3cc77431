// Everybody once each round, in an order of its own.

import { describe, expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import { createTurnOrder, shuffled } from "../../src/cluster/turn-order.ts";

const anybody = (): boolean => true;

describe("the turn order", () => {
  test("visits everybody once in each round, and not in the same order", () => {
    const names = ["a", "b", "c", "d", "e", "f"];
    const order = createTurnOrder(() => names, seededRandom(1));
    const rounds = Array.from({ length: 20 }, () => names.map(() => order.next(anybody)));
    for (const round of rounds) expect([...round].sort()).toEqual(names);
    expect(new Set(rounds.map((round) => round.join())).size).toBeGreaterThan(10);
  });

  test("lets a member wait for 2N - 1 turns at most", () => {
    const names = ["a", "b", "c", "d"];
    const order = createTurnOrder(() => names, seededRandom(2));
    let waited = 0;
    for (let turn = 0; turn < 1000; turn += 1) {
      waited = order.next(anybody) === "a" ? 0 : waited + 1;
      expect(waited).toBeLessThan(2 * names.length - 1);
    }
  });

  test("passes over whom nobody wants, takes in newcomers, and knows when nobody is left", () => {
    const names = ["a", "b"];
    const order = createTurnOrder(() => names, seededRandom(3));
    expect(order.next((name) => name === "b")).toBe("b");
    names.push("c");
    expect(order.next((name) => name === "c")).toBe("c");
    expect(order.next(() => false)).toBeUndefined();
    names.length = 0;
    expect(order.next((name) => names.includes(name))).toBeUndefined();
  });

  test("gives a newcomer a turn in the round that is under way, at any place of it, and only one", () => {
    const places = new Set<number>();
    for (let seed = 0; seed < 100; seed += 1) {
      const names = ["a", "b", "c", "d", "e"];
      const order = createTurnOrder(() => names, seededRandom(seed));
      order.next(anybody);
      names.push("new");
      order.add("new");
      order.add("new");
      const rest = Array.from({ length: 5 }, () => order.next(anybody));
      expect(rest.filter((name) => name === "new")).toEqual(["new"]);
      places.add(rest.indexOf("new"));
    }
    expect([...places].sort()).toEqual([0, 1, 2, 3, 4]);
  });

  test("gives a newcomer no turn of its own where no round is under way: the next has everybody", () => {
    const names = ["a", "b"];
    const order = createTurnOrder(() => names, seededRandom(5));
    order.add("b");
    expect([order.next(anybody), order.next(anybody)].sort()).toEqual(["a", "b"]);
  });
});

test("a shuffle keeps all items, leaves its source alone, and gives each place to each item equally often", () => {
  const items = ["a", "b", "c", "d"];
  const random = seededRandom(4);
  const first = new Map<string | undefined, number>();
  for (let turn = 0; turn < 4000; turn += 1) {
    const deck = shuffled(items, random);
    expect([...deck].sort()).toEqual(items);
    first.set(deck[0], (first.get(deck[0]) ?? 0) + 1);
  }
  for (const count of first.values()) expect(Math.abs(count - 1000)).toBeLessThan(120);
});
