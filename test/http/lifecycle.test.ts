// When a drain is over: for those who were there when it began, and for all.

import { expect, test } from "bun:test";
import { createLifecycle, nothingToCut } from "../../src/http/lifecycle.ts";

/** What has resolved by now, in the order in which it did. */
async function resolved(waits: Readonly<Record<string, Promise<void>>>) {
  const done: string[] = [];
  for (const [name, wait] of Object.entries(waits)) void wait.then(() => done.push(name));
  await Promise.resolve();
  return done;
}

test("a lifecycle in which nothing is active is settled and idle at once", async () => {
  const lifecycle = createLifecycle();
  expect(await resolved({ settled: lifecycle.settled(), idle: lifecycle.idle() })).toEqual([
    "settled",
    "idle",
  ]);
});

test("it is settled when those have ended that were active then, whoever has come since; idle when all have", async () => {
  const lifecycle = createLifecycle();
  const first = lifecycle.begin(nothingToCut);
  const second = lifecycle.begin(nothingToCut);
  const done = await resolved({ settled: lifecycle.settled(), idle: lifecycle.idle() });
  const later = lifecycle.begin(nothingToCut);
  first();
  first();
  await Promise.resolve();
  expect(done).toEqual([]);
  second();
  await Promise.resolve();
  expect(done).toEqual(["settled"]);
  expect(lifecycle.active).toBe(1);
  later();
  await Promise.resolve();
  expect(done).toEqual(["settled", "idle"]);
});

test("it never goes idle under a steady stream of new ones, and is settled all the same", async () => {
  const lifecycle = createLifecycle();
  let end = lifecycle.begin(nothingToCut);
  const done = await resolved({ settled: lifecycle.settled(), idle: lifecycle.idle() });
  for (let count = 0; count < 10; count += 1) {
    const next = lifecycle.begin(nothingToCut);
    end();
    end = next;
    await Promise.resolve();
  }
  expect(done).toEqual(["settled"]);
});

test("what is cut is told so, each once, and then it is over", () => {
  const lifecycle = createLifecycle();
  const cut: string[] = [];
  lifecycle.begin(() => cut.push("a"));
  const end = lifecycle.begin(() => cut.push("b"));
  end();
  expect([lifecycle.over, lifecycle.cutAll(), lifecycle.over]).toEqual([false, 1, true]);
  expect(cut).toEqual(["a"]);
});

test("what remains while it drains are those who were there before, and otherwise all", () => {
  const lifecycle = createLifecycle();
  lifecycle.enter("ready");
  const before = lifecycle.begin(nothingToCut);
  expect(lifecycle.remaining).toBe(1);
  lifecycle.enter("draining");
  const since = lifecycle.begin(nothingToCut);
  expect([lifecycle.active, lifecycle.remaining]).toEqual([2, 1]);
  lifecycle.enter("draining");
  lifecycle.end();
  expect(lifecycle.remaining).toBe(1);
  before();
  expect([lifecycle.active, lifecycle.remaining]).toEqual([1, 0]);
  lifecycle.enter("ready");
  expect(lifecycle.remaining).toBe(1);
  since();
});

test("who asks to hear of a drain hears of it once, at once where it is under way, and anew of the next", () => {
  const lifecycle = createLifecycle();
  lifecycle.enter("ready");
  const heard: string[] = [];
  const forget = lifecycle.onDrain(() => heard.push("forgotten"));
  lifecycle.onDrain(() => heard.push("early"));
  forget();
  expect(heard).toEqual([]);
  lifecycle.enter("draining");
  lifecycle.end();
  lifecycle.onDrain(() => heard.push("late"));
  expect(heard).toEqual(["early", "late"]);
  lifecycle.enter("ready");
  lifecycle.onDrain(() => heard.push("next"));
  expect(heard).toEqual(["early", "late"]);
  lifecycle.enter("draining");
  expect(heard).toEqual(["early", "late", "next"]);
});

test("who wants to know that the process ends is told once, at once where it does, and not by a drain that may be taken back", () => {
  const lifecycle = createLifecycle();
  const told: string[] = [];
  lifecycle.onEnding(() => told.push("ending"));
  lifecycle.onEnding(() => told.push("forgotten"))();
  lifecycle.onDrain(() => told.push("drain"));
  lifecycle.enter("draining");
  expect(told).toEqual(["drain"]);
  lifecycle.end();
  lifecycle.end();
  expect(told).toEqual(["drain", "ending"]);
  lifecycle.onEnding(() => told.push("late"));
  expect(told).toEqual(["drain", "ending", "late"]);
});
