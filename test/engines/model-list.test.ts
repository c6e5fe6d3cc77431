// The list of an engine's models when somebody wants it anew: who shares a question, and who must not.

import { expect, test } from "bun:test";
import { createModelList } from "../../src/engines/model-list.ts";
import { vllm } from "../../src/engines/vllm.ts";
import { scriptedAsk } from "../support/scripted-ask.ts";
import { virtualClock } from "../support/virtual-clock.ts";

function scene() {
  const clock = virtualClock();
  const told: (readonly string[])[] = [];
  const serves = { model: "old" };
  const engine = scriptedAsk(clock, () => {
    const body = JSON.stringify({ data: [{ id: serves.model }] });
    return { afterMs: 10, answer: { status: 200, body } };
  });
  const over = new AbortController();
  const list = createModelList(
    { dialect: vllm, ask: engine.ask, onModels: (models) => told.push(models) },
    over.signal,
  );
  return { clock, told, serves, engine, over, list };
}

test("all who want it anew at the same time share one question, and are told when it is answered", async () => {
  const { clock, told, serves, engine, list } = scene();
  await Promise.all([list.ask(), clock.advance(10)]);
  serves.model = "new";
  let back = 0;
  for (let caller = 0; caller < 20; caller += 1) void list.askAnew().then(() => (back += 1));
  await clock.advance(5);
  void list.askAnew().then(() => (back += 1));
  await clock.advance(5);
  expect(told).toEqual([["old"], ["new"]]);
  expect(back).toBe(21);
  expect(engine.asked.length).toBe(2);
});

test("whoever wants it anew is not told by a question that was put before", async () => {
  const { clock, told, serves, engine, list } = scene();
  void list.ask();
  await clock.advance(9);
  serves.model = "new";
  let back = false;
  void list.askAnew().then(() => (back = true));
  await clock.advance(1);
  expect(told).toEqual([["old"]]);
  await clock.advance(9);
  expect(back).toBe(false);
  await clock.advance(1);
  expect([told, back, engine.asked.length]).toEqual([[["old"], ["new"]], true, 2]);
});

test("an engine that says nothing keeps nobody beyond the limit, and after the end nothing is reported", async () => {
  const { clock, told, engine, over, list } = scene();
  engine.script = () => "never";
  let back = 0;
  void list.askAnew().then(() => (back += 1));
  await clock.advance(2000);
  expect(back).toBe(1);
  void list.askAnew().then(() => (back += 1));
  over.abort();
  await clock.advance(0);
  expect([back, told]).toEqual([2, []]);
});
