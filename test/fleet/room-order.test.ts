// Who goes before one more in a waiting room, by deadline.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createRoomOrder } from "../../src/fleet/room-order.ts";

describe("before one more in the room go", () => {
  test("those who are as urgent or more, and all where no deadline is given", () => {
    const order = createRoomOrder();
    for (const deadline of [300, 100, 200]) order.entered(deadline, false);
    expect([order.before(false, 99), order.before(false, 200), order.before(false, 999)]).toEqual([0, 2, 3]);
    expect(order.before(false)).toBe(3);
  });

  test("all who are at home, before what has spilled, and never the other way round", () => {
    const order = createRoomOrder();
    order.entered(500, false);
    order.entered(100, true);
    expect(order.before(true, 50)).toBe(1);
    expect(order.before(true, 100)).toBe(2);
    expect(order.before(false, 400)).toBe(0);
  });

  test("only those who have come and not left, whatever their order", () => {
    const waiter = fc.record({
      deadline: fc.integer({ min: 0, max: 20 }),
      spilled: fc.boolean(),
      leaves: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(waiter), fc.integer({ min: -1, max: 21 }), (waiters, deadline) => {
        const order = createRoomOrder();
        for (const each of waiters) order.entered(each.deadline, each.spilled);
        for (const each of waiters) if (each.leaves) order.left(each.deadline, each.spilled);
        const stay = waiters.filter(({ leaves }) => !leaves);
        const home = stay.filter(({ spilled }) => !spilled);
        expect(order.before(false, deadline)).toBe(home.filter((each) => each.deadline <= deadline).length);
        const spilled = stay.filter((each) => each.spilled && each.deadline <= deadline);
        expect(order.before(true, deadline)).toBe(home.length + spilled.length);
      }),
    );
  });
});
