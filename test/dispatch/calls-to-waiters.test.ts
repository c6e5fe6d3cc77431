// Who waits in a room is called when something else opens: an endpoint that has taken nothing for a while, or another
// tier of its ladder; in virtual time.

import { describe, expect, spyOn, test } from "bun:test";
import type { InferenceRequest } from "../../src/dispatch/inference-request.ts";
import { balancers } from "../../src/routing/balancers/balancers.ts";
import type { Engine } from "./scene.ts";
import { good, hangs, json, refused, scene, status, told } from "./scene.ts";

const rungsOf = (...tiers: readonly ("gold" | "silver")[]) =>
  tiers.map((tier) => ({ tier, balance: balancers["least-pressure"] }));
const onGold = { ladder: rungsOf("gold"), deadline: Number.MAX_SAFE_INTEGER } as const;

/** An engine that is busy for long with one request, so that all others wait for it. */
const slow: Engine = { slots: 1, queueLimit: 8, replies: [json("{}", 10_000), good] };

/** `slow` is taken, and `other` has said no to one. */
async function besideClosed(other: Engine) {
  const stage = scene({ slow, other });
  const { clock, ask, endpointOf } = stage;
  // Whoever is asked first, the second goes to the other one.
  endpointOf("other").begin("m", false, 1, clock.now());
  ask(onGold);
  endpointOf("other").end({ kind: "ok", model: "m", stream: false, totalMs: 1 }, clock.now(), () => 0.5);
  expect(endpointOf("slow").inflight).toBe(1);
  const waitedMs = async (more: Partial<InferenceRequest> = {}): Promise<number> => {
    const asked = ask({ ...onGold, ...more });
    await clock.settle();
    expect(told(asked.done)).toBe("pending");
    while (asked.done === undefined) await clock.advance(1);
    return asked.done.journey.queuedMs;
  };
  return { ...stage, waitedMs };
}

describe("a request that waits beside an endpoint that takes nothing for a while", () => {
  test("is called when the time is over that the endpoint has asked for", async () => {
    const { clock, ask, waitedMs, expectPeace } = await besideClosed({
      replies: [status(429, "{}", { "retry-after-ms": "400" }), good],
    });
    ask(onGold);
    await clock.advance(1);
    expect(await waitedMs()).toBe(400);
    await clock.advance(20_000);
    expectPeace();
  });

  test("is called when the endpoint is not left alone any more for having refused a call", async () => {
    const { clock, ask, waitedMs, expectPeace } = await besideClosed({ replies: [refused, good] });
    ask(onGold);
    await clock.advance(0);
    expect(await waitedMs()).toBe(300);
    await clock.advance(20_000);
    expectPeace();
  });

  test("is called for the test call of a breaker", async () => {
    const { clock, ask, waitedMs, moves, expectPeace } = await besideClosed({
      slots: 5,
      replies: [...Array.from({ length: 5 }, () => status(500)), good],
    });
    for (let call = 0; call < 5; call += 1) ask(onGold);
    await clock.advance(1);
    expect(moves).toEqual(["other model-of-other opened"]);
    const waited = await waitedMs();
    expect(waited).toBeGreaterThan(799);
    expect(waited).toBeLessThan(1201);
    await clock.advance(20_000);
    expectPeace();
  });

  test("is called with as many as have room when the test call of a breaker is answered", async () => {
    const { clock, ask, endpointOf, moves, expectPeace } = await besideClosed({
      slots: 8,
      replies: [...Array.from({ length: 5 }, () => status(500)), json("{}", 20), json("{}", 3000)],
    });
    for (let call = 0; call < 5; call += 1) ask({ ...onGold, deadline: clock.now() + 100 });
    await clock.advance(100);
    for (let more = 0; more < 8; more += 1) ask(onGold);
    while (moves.at(-1) !== "other model-of-other closed") await clock.advance(1);
    expect([endpointOf("other").inflight, endpointOf("slow").waiting]).toEqual([7, 0]);
    await clock.advance(20_000);
    expectPeace();
  });

  test("is called first, and the others once the first has not been refused at once", async () => {
    const { clock, ask, endpointOf, expectPeace } = await besideClosed({
      slots: 4,
      replies: [status(429, "{}", { "retry-after-ms": "400" }), json("{}", 3000)],
    });
    ask(onGold);
    await clock.advance(1);
    for (let more = 0; more < 6; more += 1) ask(onGold);
    const taken: number[] = [];
    for (const ms of [399, 2, 97, 2]) {
      await clock.advance(ms);
      taken.push(endpointOf("other").inflight);
    }
    expect(taken).toEqual([0, 1, 1, 4]);
    await clock.advance(40_000);
    expectPeace();
  });

  test("is called again where the first was refused, after the next pause", async () => {
    const { clock, ask, wireOf, expectPeace } = await besideClosed({
      slots: 4,
      replies: [...Array.from({ length: 3 }, () => status(429)), good],
    });
    for (let more = 0; more < 4; more += 1) {
      ask(onGold);
      await clock.advance(1);
    }
    const asks = () => wireOf("other").requests.length;
    // The pauses double: 100 ms, then 200 ms.
    await clock.advance(96);
    expect(asks()).toBe(1);
    await clock.advance(2);
    expect(asks()).toBe(2);
    await clock.advance(198);
    expect(asks()).toBe(2);
    await clock.advance(4);
    expect(asks()).toBe(3);
    await clock.advance(40_000);
    expectPeace();
  });

  test("costs no timer where nobody waits", async () => {
    const { clock, ask, expectPeace } = scene({
      a: { replies: [status(429, "{}", { "retry-after-ms": "800" })] },
    });
    ask();
    await clock.advance(5);
    expectPeace();
  });
});

describe("a request that waits", () => {
  test("for an upper rung, since no turn was soon anywhere, takes the first slot of a lower one", async () => {
    const { clock, ask, expectPeace } = scene({
      g: { slots: 1, replies: [json("{}", 5000), good] },
      s: { tier: "silver", slots: 1, queueLimit: 0, replies: [json("{}", 500), good] },
    });
    ask({ ladder: rungsOf("gold"), deadline: clock.now() + 60_000 });
    ask({ ladder: rungsOf("silver"), deadline: clock.now() + 60_000 });
    const streamed = ask({
      ladder: rungsOf("gold", "silver"),
      deadline: clock.now() + 60_000,
      stream: true,
      waitsUntil: clock.now() + 50,
    });
    await clock.advance(520);
    expect(told(streamed.done)).toBe("answer 200 by s because fallback-from-gold after 1");
    await clock.advance(20_000);
    expectPeace();
  });

  test("for a lower rung takes the first slot of an upper one", async () => {
    const { clock, ask, expectPeace } = scene({
      g: { slots: 1, queueLimit: 0, replies: [json("{}", 500), good] },
      s: { tier: "silver", slots: 1, replies: [json("{}", 5000), good] },
    });
    ask({ ladder: rungsOf("gold"), deadline: clock.now() + 60_000 });
    ask({ ladder: rungsOf("silver"), deadline: clock.now() + 60_000 });
    const asked = ask({ ladder: rungsOf("gold", "silver"), deadline: clock.now() + 60_000 });
    await clock.advance(520);
    expect(told(asked.done)).toBe("answer 200 by g because local-full after 1");
    await clock.advance(20_000);
    expectPeace();
  });

  test("in a room whose turn is soon enough is not called to a lower rung, which it would not take", async () => {
    const { clock, ask, expectPeace } = scene({
      g: { slots: 1, replies: [json("{}", 5000), good] },
      s: { tier: "silver", slots: 1, replies: [json("{}", 500), good] },
    });
    ask({ ladder: rungsOf("gold"), deadline: clock.now() + 60_000 });
    ask({ ladder: rungsOf("silver"), deadline: clock.now() + 60_000 });
    const asked = ask({ ladder: rungsOf("gold", "silver"), deadline: clock.now() + 60_000 });
    await clock.advance(5020);
    expect(told(asked.done)).toBe("answer 200 by g because local-full after 1");
    expectPeace();
  });

  test("is not called to an endpoint that a reload has removed, where the last call ends", async () => {
    const { clock, ask, fleet, rooms, expectPeace } = scene({
      a: { slots: 1, replies: [json("{}", 5000), good] },
      b: { slots: 1, replies: [json("{}", 500)] },
    });
    ask(onGold);
    ask(onGold);
    const [a, b] = fleet.local;
    expect([a?.inflight, b?.inflight]).toEqual([1, 1]);
    if (a !== undefined) fleet.reconfigure([{ spec: a.spec, identity: a.spec.name, models: undefined }]);
    const waiting = [ask(onGold), ask(onGold)];
    await clock.advance(400);
    const { slotFreed } = rooms;
    // Two who pass a slot on to each other would never end.
    const freed = spyOn(rooms, "slotFreed").mockImplementation((...terms) => {
      if (freed.mock.calls.length < 100) slotFreed(...terms);
    });
    await clock.advance(200);
    expect([b?.inflight, freed.mock.calls.length]).toEqual([0, 1]);
    await clock.advance(20_000);
    for (const { done } of waiting) expect(told(done)).toBe("answer 200 by a because local-full after 1");
    expectPeace();
  });

  test("is called once by a slot that routing does not let it have, and passes it on, for ever to nobody", async () => {
    const { clock, ask, fleet, rooms, expectPeace } = scene({
      a: { slots: 1, replies: [json("{}", 5000), good] },
      b: { slots: 1, replies: [json("{}", 500)] },
    });
    ask(onGold);
    ask(onGold);
    const [a, b] = fleet.local;
    if (a === undefined || b === undefined) throw new Error("two endpoints were wanted");
    fleet.reconfigure([{ spec: a.spec, identity: a.spec.name, models: undefined }]);
    // Who is asked whether a waiter may be called errs, as nobody should.
    const named = spyOn(fleet, "named").mockImplementation((name) =>
      [a, b].find(({ spec }) => spec.name === name),
    );
    const waiting = [ask(onGold), ask(onGold), ask(onGold)];
    await clock.advance(400);
    const { slotFreed } = rooms;
    const freed = spyOn(rooms, "slotFreed").mockImplementation((...terms) => {
      if (freed.mock.calls.length < 100) slotFreed(...terms);
    });
    await clock.advance(200);
    expect(freed.mock.calls.length).toBe(1 + waiting.length);
    named.mockRestore();
    await clock.advance(20_000);
    for (const { done } of waiting) expect(told(done)).toBe("answer 200 by a because local-full after 1");
    expectPeace();
  });

  test("for another tier goes after those who wait for the slot's own", async () => {
    const { clock, ask, expectPeace } = scene({
      g: { slots: 1, replies: [hangs] },
      s: { tier: "silver", slots: 1, queueLimit: 1, replies: [json("{}", 100)] },
    });
    const caller = ask({ ladder: rungsOf("gold"), deadline: clock.now() + 60_000 });
    ask({ ladder: rungsOf("silver"), deadline: clock.now() + 60_000 });
    const urgent = { stream: true, waitsUntil: clock.now(), deadline: clock.now() + 5000 };
    const own = ask({ ladder: rungsOf("silver"), deadline: clock.now() + 60_000 });
    const other = ask({ ...urgent, ladder: rungsOf("gold", "silver") });
    await clock.advance(210);
    expect([told(own.done), told(other.done)]).toEqual([
      "answer 200 by s because local-full after 1",
      "pending",
    ]);
    await clock.advance(100);
    expect(told(other.done)).toBe("answer 200 by s because fallback-from-gold after 1");
    caller.leave();
    await clock.advance(1);
    expectPeace();
  });
});
