// What a flow holds of an endpoint, when it is over its share, and who makes room for whom.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { Flow, Holds } from "../../src/fleet/flows.ts";
import { createFlows, flowRule } from "../../src/fleet/flows.ts";

const slots = 8;
const player = (session: string, caller?: string): Flow => ({ session, caller });
const of = (flow: Flow, spilled = false): Holds => ({ flow, spilled });

function scene() {
  const flows = createFlows();
  const take = (flow: Flow, count: number, now = 0): void => {
    for (let turn = 0; turn < count; turn += 1) flows.begun(of(flow), now);
  };
  const queue = (flow: Flow, count: number, now = 0): void => {
    for (let turn = 0; turn < count; turn += 1) flows.entered(of(flow), now);
  };
  const over = (flow: Flow, now = 0, spilled = false): boolean => flows.overShare(flow, spilled, slots, now);
  return { flows, take, queue, over };
}

describe("a session", () => {
  test("has all of an endpoint while it is alone there, and half of it as soon as somebody else asks", () => {
    const { flows, take, over } = scene();
    const [a, b] = [player("a"), player("b")];
    take(a, slots);
    expect(over(a)).toBe(false);
    flows.asked(b, 0);
    expect([over(a), over(b)]).toEqual([true, false]);
    for (let turn = 0; turn < slots / 2; turn += 1) flows.ended(of(a));
    expect(over(a)).toBe(true);
    flows.ended(of(a));
    expect(over(a)).toBe(false);
  });

  test("has all of it again when nobody else has asked for ten seconds, however often it asks itself", () => {
    const { flows, take, over } = scene();
    const [a, b] = [player("a"), player("b")];
    flows.asked(b, 0);
    take(a, slots, 1);
    for (let now = 2; now <= flowRule.othersMs; now += 1000) flows.asked(a, now);
    expect(over(a, flowRule.othersMs)).toBe(true);
    expect(over(a, flowRule.othersMs + 1)).toBe(false);
  });

  test("of a small endpoint may still hold one slot", () => {
    const { flows, take } = scene();
    flows.asked(player("b"), 0);
    expect(flows.overShare(player("a"), false, 1, 0)).toBe(false);
    take(player("a"), 1);
    expect(flows.overShare(player("a"), false, 1, 0)).toBe(true);
    expect(flows.overShare(player("b"), false, 1, 0)).toBe(false);
  });

  test("is told from the session of that name of another key, and from requests without one", () => {
    const { take, over } = scene();
    take(player("a", "one"), 4);
    take({ caller: "two" }, 1);
    expect([over(player("a", "one")), over(player("a", "two"))]).toEqual([true, false]);
    expect(over({ caller: "one" })).toBe(false);
  });

  test("that a peer has turned away leaves that peer alone for a moment, and nobody else does", () => {
    const { flows, over } = scene();
    flows.turnedAway(player("a"), 0);
    expect([over(player("a")), over(player("b"))]).toEqual([true, false]);
    expect(over(player("a"), flowRule.turnedAwayMs)).toBe(false);
  });
});

describe("a key", () => {
  test("has three quarters where another key asks, by whatever sessions", () => {
    const { flows, take, over } = scene();
    for (const name of "abcdef") take(player(name, "one"), 1);
    expect(over(player("g", "one"))).toBe(false);
    flows.asked({ caller: "two" }, 0);
    expect([over(player("g", "one")), over({ caller: "one" }), over({ caller: "two" })]).toEqual([
      true,
      true,
      false,
    ]);
  });

  test("where nobody is asked for one has no bound of its own", () => {
    const { flows, take, over } = scene();
    flows.asked(player("b"), 0);
    take({}, slots);
    expect([over({}), flows.size]).toEqual([false, 0]);
  });
});

test("what has spilled from elsewhere takes three quarters of an endpoint, whoever else is there", () => {
  const { flows, over } = scene();
  for (let turn = 0; turn < 6; turn += 1) flows.begun({ flow: {}, spilled: true }, 0);
  expect([over({}, 0, true), over({}, 0, false)]).toEqual([true, false]);
  flows.ended({ flow: {}, spilled: true });
  expect(over({}, 0, true)).toBe(false);
});

describe("in a full room", () => {
  test("a newcomer displaces whose session has more than one more than his own, and nobody else", () => {
    const { flows, take, queue } = scene();
    const [many, few, newcomer] = [player("many"), player("few"), player("new")];
    take(many, 2);
    queue(many, 3);
    queue(few, 1);
    expect(flows.displaces(of(newcomer))).toBe(true);
    expect(flows.yieldsTo(of(many), of(newcomer))).toBe(5);
    expect(flows.yieldsTo(of(few), of(newcomer))).toBe(0);
    expect(flows.displaces(of(many))).toBe(false);
    // A request that is nobody's in particular may be anybody's.
    expect(flows.displaces(of({}))).toBe(false);
  });

  test("a key with few displaces a key with many, sessions or not", () => {
    const { flows, queue } = scene();
    queue({ caller: "many" }, 4);
    expect(flows.displaces(of({ caller: "few" }))).toBe(true);
    expect(flows.yieldsTo(of({ caller: "many" }), of({ caller: "few" }))).toBe(4);
    expect(flows.displaces(of({ caller: "many" }))).toBe(false);
  });

  test("whoever is at home displaces what has spilled, and never the other way round", () => {
    const { flows } = scene();
    flows.entered(of({}, true), 0);
    expect([flows.displaces(of({})), flows.displaces(of({}, true))]).toEqual([true, false]);
    expect(flows.yieldsTo(of({}, true), of({}))).toBeGreaterThan(0);
    expect(flows.yieldsTo(of({}), of({}, true))).toBe(0);
  });
});

describe("the turns until a request has its own", () => {
  test("count the others' waiters no further than they hold less", () => {
    const { flows, take, queue } = scene();
    take(player("many"), 4);
    queue(player("many"), 12);
    queue(player("few"), 1);
    // The one of `few`, and his own.
    expect(flows.turnsUntil(player("new"), flows.ahead(player("new"), 13), slots, 0)).toBe(2 / slots);
    // Its own twelve go before it, through half of the slots.
    expect(flows.turnsUntil(player("many"), flows.ahead(player("many"), 13), slots, 0)).toBe(
      13 / (slots / 2),
    );
  });

  test("are as many as wait where nothing tells them apart", () => {
    const { flows } = scene();
    expect(flows.turnsUntil({}, flows.ahead({}, 7), slots, 0)).toBe(1);
  });
});

test("whatever comes and goes, in any order, nothing is left when all have gone, and no count is below 0", () => {
  const flow = fc.record({
    caller: fc.constantFrom(undefined, "k1", "k2"),
    session: fc.constantFrom(undefined, "a", "b", "c"),
  });
  const held = fc.record({ flow, spilled: fc.boolean(), waits: fc.boolean() });
  fc.assert(
    fc.property(fc.array(fc.tuple(held, fc.nat())), (all) => {
      const flows = createFlows();
      for (const [{ waits, ...holds }] of all) {
        if (waits) flows.entered(holds, 0);
        else flows.begun(holds, 0);
      }
      expect(flows.size).toBeLessThanOrEqual(2 * all.length);
      for (const [{ waits, ...holds }] of [...all].sort(([, a], [, b]) => a - b)) {
        expect(flows.excess(holds.flow, 4)).toBeGreaterThanOrEqual(0);
        if (waits) flows.left(holds);
        else flows.ended(holds);
      }
      expect(flows.size).toBe(0);
      expect(flows.overShare({ caller: "k1", session: "a" }, true, 1, 0)).toBe(false);
    }),
  );
});
