// The rest between two pieces of the lane's work: nobody goes before it is over, and nobody waits for ever.

import { expect, test } from "bun:test";
import { createRests } from "../../src/jobs/rests.ts";
import { virtualClock } from "../support/virtual-clock.ts";

/** Time passes also within work: `lasts` makes work that takes some. */
function scene() {
  const slow = virtualClock();
  let spentMs = 0;
  const clock = { ...slow, now: () => slow.now() + spentMs };
  const began: { readonly name: string; readonly at: number }[] = [];
  const startAt = clock.now();
  const lasts = (name: string, ms: number) => () => {
    began.push({ name, at: clock.now() - startAt });
    spentMs += ms;
  };
  const others = (ms: number) => {
    spentMs += ms;
  };
  const names = () => began.map(({ name }) => name);
  return { clock: slow, rests: createRests(clock), began, lasts, others, names };
}

test("what comes after a rest is done at once, what comes within it is refused", async () => {
  const { clock, rests, lasts, names } = scene();
  expect(rests.attempt(lasts("first", 5))).toBe(true);
  expect(rests.attempt(lasts("second", 5))).toBe(false);
  await clock.advance(9);
  expect(rests.attempt(lasts("third", 5))).toBe(false);
  await clock.advance(1);
  expect(rests.attempt(lasts("fourth", 5))).toBe(true);
  expect(names()).toEqual(["first", "fourth"]);
});

test("who is in line is called in turn, each after twice the time of who was before", async () => {
  const { clock, rests, began, lasts } = scene();
  for (const name of ["one", "two", "three"]) rests.line(lasts(name, 3));
  await clock.advance(100);
  expect(began).toEqual([
    { name: "one", at: 0 },
    { name: "two", at: 9 },
    { name: "three", at: 18 },
  ]);
});

test("no rest is longer than a tenth of a second, however long the work was", async () => {
  const { clock, rests, lasts } = scene();
  rests.attempt(lasts("long", 60_000));
  await clock.advance(99);
  expect(rests.attempt(lasts("early", 1))).toBe(false);
  await clock.advance(1);
  expect(rests.attempt(lasts("later", 1))).toBe(true);
});

test("who was passed over once in line is next, whoever else comes at the right moment", async () => {
  const { clock, rests, lasts, names, others } = scene();
  rests.attempt(lasts("first", 5));
  rests.line(lasts("in line", 5));
  // The rest is over, but others have had the loop, so that the timer of the line is late.
  await clock.advance(9);
  others(10);
  expect(rests.attempt(lasts("early", 5))).toBe(true);
  await clock.advance(1);
  others(20);
  expect(rests.attempt(lasts("again", 5))).toBe(false);
  await clock.advance(10);
  expect(names()).toEqual(["first", "early", "in line"]);
});

test("who gives its place up is not called, and leaves no timer behind", async () => {
  const { clock, rests, lasts, names } = scene();
  const giveUp = rests.line(lasts("gone", 1));
  giveUp();
  giveUp();
  expect(clock.pending()).toBe(0);
  rests.line(lasts("next", 1));
  await clock.advance(0);
  expect(names()).toEqual(["next"]);
});

test("work that throws is followed by a rest too, and by who is next", async () => {
  const { clock, rests, lasts, names } = scene();
  expect(() =>
    rests.attempt(() => {
      rests.line(lasts("next", 1));
      throw new Error("boom");
    }),
  ).toThrow("boom");
  await clock.advance(0);
  expect(names()).toEqual(["next"]);
});
