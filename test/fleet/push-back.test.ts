// How long somebody is left alone who is full.

import { expect, test } from "bun:test";
import { createPushBack } from "../../src/fleet/push-back.ts";

const now = 1_000_000;

test("who names no time is left alone for 100 ms, and twice as long each time in a row, up to a second", () => {
  const push = createPushBack();
  for (const ms of [100, 200, 400, 800, 1000, 1000]) {
    push.pushed(undefined, now);
    expect([push.active(now + ms - 1), push.active(now + ms)]).toEqual([true, false]);
  }
  push.answered();
  push.pushed(undefined, now);
  expect(push.active(now + 100)).toBe(false);
});

test("who names a longer time gets it, up to a second", () => {
  const push = createPushBack();
  push.pushed(300, now);
  expect([push.active(now + 299), push.active(now + 300)]).toEqual([true, false]);
  push.pushed(60_000, now);
  expect(push.active(now + 1000)).toBe(false);
});

test("when the time is over one is sent first, and the others when that one is answered, or not refused within 100 ms", () => {
  const push = createPushBack();
  push.tried(now);
  expect(push.active(now)).toBe(false);
  push.pushed(undefined, now);
  push.tried(now + 100);
  expect([push.active(now + 101), push.active(now + 200)]).toEqual([true, false]);
  push.pushed(undefined, now + 300);
  push.tried(now + 500);
  push.answered();
  expect(push.active(now + 501)).toBe(false);
});
