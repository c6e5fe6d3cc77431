// Who waits, in which order, and how a wait ends; in virtual time.

import { describe, expect, test } from "bun:test";
import type { Wake } from "../../src/dispatch/waiting-room.ts";
import { createWaitingRooms } from "../../src/dispatch/waiting-room.ts";
import type { Tier } from "../../src/fleet/endpoint.ts";
import type { EndpointState } from "../../src/fleet/endpoint-state.ts";
import { createEndpointState } from "../../src/fleet/endpoint-state.ts";
import type { Holds } from "../../src/fleet/flows.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const endpoint = (name: string, tier: Tier = "gold"): EndpointState =>
  createEndpointState({ name, tier, locality: "local", slots: 1, queueLimit: 100 }, ["m"]);

/** Of another endpoint they take a slot where it is of the same tier. */
const ofTier =
  ({ spec }: EndpointState) =>
  (other: EndpointState): Holds | undefined =>
    other.spec.tier === spec.tier ? {} : undefined;

const told = (wake: Wake): string => (typeof wake === "string" ? wake : "woken");

function scene() {
  const clock = virtualClock();
  const rooms = createWaitingRooms(clock);
  const ended: string[] = [];
  const enter = (who: string, where: EndpointState, leftMs: number): AbortController => {
    const caller = new AbortController();
    void rooms
      .wait(where, clock.now() + leftMs, leftMs, caller.signal, {}, ofTier(where))
      .then((wake) => ended.push(`${who} ${told(wake)}`));
    return caller;
  };
  return { clock, rooms, ended, enter };
}

describe("a waiting room", () => {
  test("lets the most urgent go first, and among equals the one who came first", async () => {
    const { clock, rooms, ended, enter } = scene();
    const a = endpoint("a");
    enter("late", a, 3000);
    enter("soon", a, 1000);
    enter("first", a, 2000);
    enter("second", a, 2000);
    for (let slot = 0; slot < 4; slot += 1) rooms.slotFreed(a);
    await clock.settle();
    expect(ended).toEqual(["soon woken", "first woken", "second woken", "late woken"]);
  });

  test("wakes one for each slot, and nobody twice", async () => {
    const { clock, rooms, ended, enter } = scene();
    const a = endpoint("a");
    enter("one", a, 1000);
    enter("two", a, 1000);
    expect(a.waiting).toBe(2);
    rooms.slotFreed(a);
    await clock.settle();
    expect(ended).toEqual(["one woken"]);
    expect(a.waiting).toBe(1);
  });

  test("ends a wait at its limit, and gives the place back", async () => {
    const { clock, ended, enter } = scene();
    const a = endpoint("a");
    enter("one", a, 1000);
    await clock.advance(999);
    expect(ended).toEqual([]);
    await clock.advance(1);
    expect(ended).toEqual(["one expired"]);
    expect([a.waiting, clock.pending()]).toEqual([0, 0]);
  });

  test("tells its endpoint who holds a share, and gives that back however the wait ends", async () => {
    const { clock, rooms } = scene();
    const a = endpoint("a");
    const caller = new AbortController();
    for (let turn = 0; turn < 3; turn += 1)
      void rooms.wait(a, clock.now() + 1000, 1000, caller.signal, { shares: true }, ofTier(a));
    void rooms.wait(a, clock.now() + 2000, 2000, new AbortController().signal, {}, ofTier(a));
    expect([a.waiting, a.sharing]).toEqual([4, 3]);
    rooms.slotFreed(a);
    expect([a.waiting, a.sharing]).toEqual([3, 2]);
    caller.abort();
    expect([a.waiting, a.sharing]).toEqual([1, 0]);
  });

  test("lets a caller leave, at once, before or during the wait", async () => {
    const { clock, rooms, ended, enter } = scene();
    const a = endpoint("a");
    enter("one", a, 1000).abort();
    enter("two", a, 1000);
    await clock.settle();
    expect(ended).toEqual(["one left"]);
    expect([a.waiting, clock.pending()]).toEqual([1, 1]);
    expect(await rooms.wait(a, clock.now() + 1000, 1000, AbortSignal.abort(), {}, ofTier(a))).toBe("left");
    expect(a.waiting).toBe(1);
  });

  test("gives a free slot to its own waiter before a more urgent one of the neighbour", async () => {
    const { clock, rooms, ended, enter } = scene();
    const [a, b] = [endpoint("a"), endpoint("b")];
    enter("neighbour", a, 100);
    enter("own", b, 2000);
    rooms.slotFreed(b);
    await clock.settle();
    expect(ended).toEqual(["own woken"]);
    rooms.slotFreed(b);
    await clock.settle();
    expect(ended).toEqual(["own woken", "neighbour woken"]);
  });

  test("passes over a neighbour's waiter to whom it is of no use", async () => {
    const { clock, rooms, ended } = scene();
    const [a, b, c] = [endpoint("a"), endpoint("b"), endpoint("c")];
    const enter = (who: string, at: EndpointState, leftMs: number, suits: boolean): void =>
      void rooms
        .wait(at, clock.now() + leftMs, leftMs, new AbortController().signal, {}, () =>
          suits ? {} : undefined,
        )
        .then((wake) => ended.push(`${who} ${told(wake)}`));
    enter("of another model", a, 100, false);
    enter("of that model", b, 500, true);
    rooms.slotFreed(c);
    await clock.settle();
    expect(ended).toEqual(["of that model woken"]);
  });

  test("wakes no waiter of another tier who would not go there", async () => {
    const { clock, rooms, ended, enter } = scene();
    enter("gold", endpoint("a"), 1000);
    rooms.slotFreed(endpoint("s", "silver"));
    await clock.settle();
    expect(ended).toEqual([]);
  });

  test("does not spend a slot on a waiter whose time is over while its timer is late", async () => {
    const { clock, rooms, ended, enter } = scene();
    const a = endpoint("a");
    // The deadline passes before the timer does, as on an event loop that lags.
    void rooms
      .wait(a, clock.now() + 10, 1000, new AbortController().signal, {}, ofTier(a))
      .then((wake) => ended.push(`over ${told(wake)}`));
    enter("in time", a, 500);
    await clock.advance(20);
    rooms.slotFreed(a);
    await clock.settle();
    expect(ended).toEqual(["in time woken"]);
  });

  test("empties: all of that endpoint are woken, the neighbours' are not", async () => {
    const { clock, rooms, ended, enter } = scene();
    const [a, b] = [endpoint("a"), endpoint("b")];
    enter("one", a, 1000);
    enter("other", b, 1000);
    enter("two", a, 500);
    rooms.empty(a);
    await clock.settle();
    expect(ended.sort()).toEqual(["one emptied", "two emptied"]);
    expect([a.waiting, b.waiting]).toEqual([0, 1]);
  });

  test("looks at all endpoints that take nothing for a while by one timer, and only while somebody waits", async () => {
    const { clock, rooms, ended, enter } = scene();
    const [a, b, c] = [endpoint("a"), endpoint("b"), endpoint("c")];
    const push = (where: EndpointState, retryAfterMs: number): void => {
      where.begin("m", false, 0, clock.now());
      where.end(
        { kind: "busy", model: "m", stream: false, totalMs: 1, retryAfterMs },
        clock.now(),
        () => 0.5,
      );
      rooms.ended(where, clock.now());
    };
    push(b, 500);
    expect(clock.pending()).toBe(0);
    const callers = ["one", "two", "three"].map((who) => enter(who, a, 5000));
    push(c, 200);
    rooms.ended(a, clock.now());
    expect(clock.pending()).toBe(4);
    await clock.advance(200);
    expect(ended).toEqual(["one woken"]);
    await clock.advance(300);
    expect(ended).toEqual(["one woken", "two woken", "three woken"]);
    expect(clock.pending()).toBe(0);
    for (const caller of callers) caller.abort();
  });

  test("does not look at an endpoint that is gone", async () => {
    const { clock, rooms, ended, enter } = scene();
    const [a, b] = [endpoint("a"), endpoint("b")];
    b.begin("m", false, 0, clock.now());
    b.end({ kind: "refused", model: "m", stream: false, totalMs: 1 }, clock.now(), () => 0.5);
    enter("one", a, 1000);
    rooms.ended(b, clock.now());
    rooms.empty(b);
    await clock.advance(999);
    expect(ended).toEqual([]);
  });

  test("does nothing when a slot is freed and nobody waits", () => {
    const { rooms, clock } = scene();
    rooms.slotFreed(endpoint("a"));
    rooms.empty(endpoint("a"));
    expect(clock.pending()).toBe(0);
  });
});
