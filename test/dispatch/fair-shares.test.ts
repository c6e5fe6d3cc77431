// What the loop makes of shares: who is let in, who waits, and what somebody is told who has to make room.

import { describe, expect, test } from "bun:test";
import type { Engine } from "./scene.ts";
import { json, scene, told } from "./scene.ts";

const slow: Engine = { slots: 4, queueLimit: 4, replies: [json("{}", 100)] };
const minute = 60_000;

describe("a session that asks for more than its share", () => {
  test("gets half of the slots as soon as somebody else is there, who finds one free at once", async () => {
    const { clock, ask, endpointOf } = scene({ g: slow });
    const other = ask({ session: "other" });
    const many = Array.from({ length: 6 }, () => ask({ session: "many" }));
    await clock.settle();
    expect([endpointOf("g").inflight, endpointOf("g").waiting]).toEqual([3, 4]);
    const another = ask({ session: "another" });
    await clock.settle();
    expect(endpointOf("g").inflight).toBe(4);
    await clock.advance(400);
    for (const { done } of [other, another, ...many]) expect(told(done)).toStartWith("answer 200");
  });

  test("makes room in a full queue for somebody else, and is told so: 429, and when to come back", async () => {
    const { clock, ask, endpointOf, expectPeace } = scene({ g: slow });
    const many = Array.from({ length: 8 }, (_, turn) =>
      ask({ session: "many", deadline: clock.now() + minute + turn }),
    );
    await clock.settle();
    expect([endpointOf("g").inflight, endpointOf("g").waiting]).toEqual([4, 4]);
    const other = ask({ session: "other" });
    await clock.settle();
    const [last] = many.slice(-1);
    expect(told(last?.done)).toBe("refusal tier_overloaded");
    if (last?.done?.kind !== "refusal") throw new Error("it was not refused");
    expect(last.done.journey.because).toBe("over-share");
    expect(last.done.retryAfterMs).toBeGreaterThan(0);
    await clock.advance(120);
    expect(endpointOf("g").waiting).toBeGreaterThan(0);
    await clock.advance(100);
    expect(told(other.done)).toStartWith("answer 200");
    await clock.advance(1000);
    for (const each of many.slice(0, -1)) expect(told(each.done)).toStartWith("answer 200");
    expectPeace();
  });

  test("has all the slots again when nobody else has asked for ten seconds, and whoever waits is woken for them", async () => {
    const { clock, ask, endpointOf } = scene({
      g: { slots: 4, queueLimit: 80, replies: [json("{}", 1000)] },
    });
    ask({ session: "other" });
    for (let turn = 0; turn < 80; turn += 1) ask({ session: "many", deadline: clock.now() + minute });
    await clock.advance(5000);
    expect([endpointOf("g").inflight, endpointOf("g").waiting]).toEqual([2, 68]);
    await clock.advance(7100);
    expect(endpointOf("g").inflight).toBe(4);
    const before = endpointOf("g").calls;
    await clock.advance(4000);
    expect(endpointOf("g").calls - before).toBe(16);
  });

  test("is noticed by somebody for whom there is not even a place to wait", async () => {
    const { clock, ask } = scene({ g: { ...slow, queueLimit: 0 } });
    for (let turn = 0; turn < 4; turn += 1) ask({ session: "many" });
    await clock.settle();
    const refused = ask({ session: "other" });
    await clock.advance(110);
    expect(told(refused.done)).toBe("refusal tier_overloaded");
    const again = Array.from({ length: 4 }, () => ask({ session: "many" }));
    const other = ask({ session: "other" });
    await clock.advance(110);
    expect(again.map(({ done }) => told(done)).filter((each) => each.startsWith("answer"))).toHaveLength(2);
    expect(told(other.done)).toStartWith("answer 200");
  });

  test("alone has all slots and all places", async () => {
    const { clock, ask } = scene({ g: slow });
    const many = Array.from({ length: 8 }, () => ask({ session: "many" }));
    await clock.advance(210);
    for (const { done } of many) expect(told(done)).toStartWith("answer 200");
  });
});

test("nobody is started who cannot finish: who would be woken too late is refused before that", async () => {
  const { clock, ask, ends } = scene({ g: { slots: 1, queueLimit: 8, replies: [json("{}", 100)] } });
  for (let turn = 0; turn < 6; turn += 1) {
    ask({});
    await clock.advance(101);
  }
  const known = ends.length;
  const first = ask({ deadline: clock.now() + minute });
  const second = ask({ deadline: clock.now() + 260 });
  const third = ask({ deadline: clock.now() + 270 });
  await clock.advance(300);
  expect(told(first.done)).toStartWith("answer 200");
  expect(told(second.done)).toStartWith("answer 200");
  expect(told(third.done)).toBe("refusal tier_overloaded");
  expect(ends.slice(known).map(({ kind }) => kind)).toEqual(["ok", "ok"]);
});
