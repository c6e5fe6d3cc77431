// What an NPC is told, and when: from the table, from an engine, by default. In virtual time.

import { describe, expect, test } from "bun:test";
import { intentsRule } from "../../src/dispatch/intents.ts";
import { createArchetypes } from "../../src/intents/archetype.ts";
import type { IntentAnswer } from "../../src/intents/intent-answer.ts";
import { newAnswer } from "../../src/intents/intent-answer.ts";
import { promptOf } from "../../src/intents/prompt.ts";
import { guard } from "../support/archetypes.ts";
import { intentScene, oddsBody, scout, surelyBody } from "./intent-scene.ts";

const byDefault = { action: 0, source: "default", confidence: 0, ageMs: 0, ttlMs: 0 } as const;

describe("an NPC that asks about an unknown situation", () => {
  test("gets the engine's answer, and the next one gets it from the table", async () => {
    const { clock, ask, callOf, intents, table, idle, outcomes } = intentScene();
    const asked = ask(7);
    await clock.advance(9);
    expect(asked.times).toBe(0);
    callOf(7).answer(surelyBody(2));
    await clock.settle();
    expect(asked).toMatchObject({ times: 1, atMs: 9, answer: { action: 2, source: "engine", ageMs: 0 } });
    expect(asked.answer?.confidence).toBeCloseTo(0.95, 2);
    await clock.advance(100);
    expect(ask(7).answer).toMatchObject({ action: 2, source: "fresh", ageMs: 100, ttlMs: 900 });
    expect([intents.load, clock.pending()]).toEqual([idle, 0]);
    expect(table.stats()).toMatchObject({ misses: 1, joins: 0, hits: 1 });
    expect(outcomes).toEqual({ answered: 1, failed: 0, unreadable: 0, dropped: 0 });
  });

  test("asks in the realtime class, within the share, for two seconds, and signs the request itself", () => {
    const { clock, ask, calls, archetype } = intentScene({ share: 0.5 });
    ask(7, { ms: 5 });
    ask(8, { ms: 5 });
    const [first, second] = calls.map(({ request }) => request);
    expect(first).toMatchObject({
      path: "/v1/chat/completions",
      sla: "realtime",
      share: 0.5,
      stream: false,
      model: undefined,
      modelName: undefined,
      hasPriority: false,
      deadline: clock.now() + 2000,
      question: { prompt: promptOf(archetype(), 7), options: 6, temperature: 0 },
    });
    expect(first?.body.length).toBe(0);
    expect(first?.reuse).toBeUndefined();
    const headers = Object.fromEntries(first?.headers ?? []);
    expect(headers["x-request-id"]).toBe(first?.id ?? "");
    expect(headers["traceparent"]).toMatch(/^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-00$/);
    expect(Object.fromEntries(second?.headers ?? [])["traceparent"]).not.toBe(headers["traceparent"] ?? "");
  });

  test("gets the default at its deadline, not a millisecond later, and the late answer fills the table", async () => {
    const { clock, ask, callOf, intents, idle } = intentScene();
    const asked = ask(7, { ms: 14 });
    await clock.advance(13);
    expect(asked.times).toBe(0);
    await clock.advance(1);
    expect(asked).toMatchObject({ times: 1, atMs: 14, answer: byDefault });
    expect(intents.load).toEqual({ ...idle, asked: 1 });
    await clock.advance(500);
    callOf(7).answer(surelyBody(3));
    await clock.settle();
    expect(asked.times).toBe(1);
    expect(ask(7).answer).toMatchObject({ action: 3, source: "fresh" });
    expect([intents.load, clock.pending()]).toEqual([idle, 0]);
  });

  test("is never late by a fraction of a millisecond: deadlines are rounded down", async () => {
    const { clock, ask } = intentScene();
    const asked = ask(7, { ms: 3.9 });
    await clock.advance(3);
    expect(asked.times).toBe(1);
  });

  test("gets the default at once where its deadline has come, and the engine is asked for the next one", async () => {
    for (const ms of [0, 0.9, -5]) {
      const { ask, calls } = intentScene();
      expect(ask(7, { ms })).toMatchObject({ times: 1, answer: byDefault });
      expect(calls.length).toBe(1);
    }
  });

  test("draws its own action where the archetype samples, and always the same one", async () => {
    const { clock, ask, callOf } = intentScene({ rules: [{ ...guard, pick: "sample" }] });
    const seeds = Array.from({ length: 60 }, (_, seed) => seed + 1);
    const crowd = seeds.map((seed) => ask(7, { seed }));
    callOf(7).answer(oddsBody([0.4, 0.3, 0.3, 0.0001, 0.0001, 0.0001]));
    await clock.settle();
    const actions = crowd.map(({ answer }) => answer?.action);
    expect(new Set(actions)).toEqual(new Set([0, 1, 2]));
    expect(crowd.every(({ answer }) => answer?.source === "engine")).toBe(true);
    expect(seeds.map((seed) => ask(7, { seed }).answer?.action)).toEqual(actions);
  });

  test("gets the engine's answer though the table keeps none", async () => {
    const { clock, ask, callOf, table } = intentScene();
    table.configure({ enabled: false });
    const asked = ask(7);
    callOf(7).answer(surelyBody(4));
    await clock.settle();
    expect(asked.answer).toMatchObject({ action: 4, source: "engine", ageMs: 0 });
    expect(ask(7).times).toBe(0);
  });
});

describe("a crowd in one situation", () => {
  test("of 100 that ask at once is one call to the engine, and all get its answer", async () => {
    const { clock, ask, calls, callOf, table } = intentScene();
    const crowd = Array.from({ length: 100 }, (_, seed) => ask(7, { seed }));
    expect(calls.length).toBe(1);
    await clock.advance(5);
    callOf(7).answer(surelyBody(2));
    await clock.settle();
    expect(crowd.every(({ times, answer }) => times === 1 && answer?.source === "engine")).toBe(true);
    expect(new Set(crowd.map(({ answer }) => answer)).size).toBe(100);
    expect(table.stats()).toMatchObject({ misses: 1, joins: 99 });
  });

  test("is answered each by its own deadline", async () => {
    const { clock, ask, calls } = intentScene();
    const asked = [30, 10, 20].map((ms) => ask(7, { ms }));
    expect(calls.length).toBe(1);
    await clock.advance(40);
    expect(asked.map(({ atMs, times }) => [atMs, times])).toEqual([
      [30, 1],
      [10, 1],
      [20, 1],
    ]);
  });

  test("of a thousand with one deadline costs one timer", async () => {
    const { clock, ask, intents, idle } = intentScene({ rules: [scout] });
    const before = clock.pending();
    const crowd = Array.from({ length: 1024 }, (_, situation) => ask(situation));
    // Four calls have the deadlines of their own.
    expect(clock.pending() - before).toBe(1 + 4);
    await clock.advance(14);
    expect(crowd.every(({ times, atMs }) => times === 1 && atMs === 14)).toBe(true);
    expect(intents.load.waiting).toBe(idle.waiting);
  });

  test("may hear of it by asking again: the second question is a new one", async () => {
    const { clock, intents, archetype, calls } = intentScene();
    const heard: string[] = [];
    const deadline = clock.now() + 10;
    const ask = { archetype: archetype(), situation: 7, seed: 1 };
    intents.wait(ask, deadline, () => {
      intents.wait({ ...ask, situation: 8 }, clock.now() + 10, () => heard.push("second"));
      heard.push("first");
    });
    await clock.advance(20);
    expect(heard).toEqual(["first", "second"]);
    expect(calls.length).toBe(2);
  });

  test("is told to the last, though one who is told throws", async () => {
    for (const answers of [true, false]) {
      const { clock, intents, archetype, callOf } = intentScene();
      const told: string[] = [];
      const ask = { archetype: archetype(), situation: 7, seed: 1 };
      intents.wait(ask, clock.now() + 10, () => {
        throw new Error("a bug of the door");
      });
      intents.wait(ask, clock.now() + 10, ({ source }) => told.push(source));
      if (answers) callOf(7).answer(surelyBody(1));
      await expect(clock.advance(10)).rejects.toThrow("a bug of the door");
      expect(told).toEqual([answers ? "engine" : "default"]);
    }
  });

  test("waits up to a bound, and whoever comes beyond takes the default at once", async () => {
    const { clock, ask, intents } = intentScene();
    const { waitingMost } = intentsRule;
    const crowd = Array.from({ length: waitingMost + 10 }, () => ask(7));
    expect(intents.load.waiting).toBe(waitingMost);
    expect(crowd.filter(({ times }) => times === 1).length).toBe(10);
    await clock.advance(14);
    expect(crowd.every(({ times }) => times === 1)).toBe(true);
    expect(intents.load.waiting).toBe(0);
  });
});

describe("a stale entry", () => {
  const stale = async () => {
    const all = intentScene();
    const { clock, ask, callOf } = all;
    ask(7);
    callOf(7).answer(surelyBody(2));
    await clock.advance(1500);
    return all;
  };

  test("answers at once and is refreshed behind, once however many ask", async () => {
    const { clock, ask, calls, callOf, outcomes } = await stale();
    for (let turn = 0; turn < 10; turn += 1) {
      expect(ask(7).answer).toMatchObject({ action: 2, source: "stale", ageMs: 1500, ttlMs: 0 });
    }
    expect(calls.length).toBe(1);
    callOf(7).answer(surelyBody(5));
    await clock.settle();
    expect(ask(7).answer).toMatchObject({ action: 5, source: "fresh", ageMs: 0 });
    expect(outcomes.answered).toBe(2);
  });

  test("goes on answering while its refresh fails, which pauses after three failures", async () => {
    const { clock, ask, seen, script } = await stale();
    script.reply = (call) => call.refuse();
    seen.dispatches = 0;
    for (let ms = 0; ms < 1000; ms += 1) {
      expect(ask(7).answer?.source).toBe("stale");
      await clock.advance(1);
    }
    // Three at once, then one in each pause of 100 ms.
    expect(seen.dispatches).toBeGreaterThan(5);
    expect(seen.dispatches).toBeLessThan(20);
  });

  test("yields to misses: its refresh is asked when nobody waits any more", async () => {
    const { clock, ask, asking, callOf } = await stale();
    for (const situation of [50, 51, 52, 53]) ask(situation);
    expect(ask(7).answer?.source).toBe("stale");
    ask(54);
    callOf(50).answer(surelyBody(1));
    await clock.settle();
    expect(asking()).toEqual([51, 52, 53, 54]);
    callOf(51).answer(surelyBody(1));
    await clock.settle();
    expect(asking()).toEqual([52, 53, 54, 7]);
  });

  test("that goes while its refresh is under way leaves a question that a miss can join", async () => {
    const { clock, ask, calls, callOf, table } = await stale();
    ask(7);
    table.clear({});
    const asked = ask(7);
    expect([asked.times, calls.length]).toEqual([0, 1]);
    callOf(7).answer(surelyBody(5));
    await clock.settle();
    expect(asked.answer).toMatchObject({ action: 5, source: "engine" });
    expect(table.stats().joins).toBe(1);
  });
});

describe("an asker that does not wait", () => {
  test("has the question asked behind where it says so, once, and no engine bothered where not", async () => {
    const { clock, intents, archetype, calls, callOf, table, ask } = intentScene();
    const into = newAnswer();
    expect(intents.fromTable(archetype(), 7, 1, clock.now(), into)).toBe(false);
    expect(into).toEqual(byDefault);
    intents.settleFor(archetype(), 7, false);
    expect(calls.length).toBe(0);
    intents.settleFor(archetype(), 7, true);
    intents.settleFor(archetype(), 7, true);
    expect(calls.length).toBe(1);
    expect(table.stats()).toMatchObject({ misses: 3, joins: 0 });
    callOf(7).answer(surelyBody(2));
    await clock.settle();
    expect(ask(7).answer).toMatchObject({ action: 2, source: "fresh" });
  });

  test("finds nothing of another's answer in the record that it hands in", () => {
    const { clock, intents, archetype } = intentScene();
    const record: IntentAnswer = { action: 3, source: "fresh", confidence: 1, ageMs: 5, ttlMs: 9 };
    intents.fromTable(archetype(), 7, 1, clock.now(), record);
    expect(record).toEqual(byDefault);
  });
});

describe("a reload", () => {
  const settings = { engineShare: 1, maxEntries: 1000, maxBytes: 2 ** 20 };
  const changed = createArchetypes([{ ...guard, prompt: "Another guard.", defaultAction: "flee" }]);

  test("lets those who wait have their answers, and keeps none of them", async () => {
    const { clock, intents, ask, callOf, archetype, idle } = intentScene();
    const before = archetype();
    const asked = [ask(7), ask(7, { ms: 50 }), ask(8)];
    const [first, second] = [callOf(7), callOf(8)];
    intents.reconfigure(changed, settings);
    await clock.advance(20);
    expect(asked.map(({ answer }) => answer?.source)).toEqual(["default", undefined, "default"]);
    expect(asked[0]?.answer?.action).toBe(before.defaultIndex);
    first.answer(surelyBody(2));
    second.answer(surelyBody(2));
    await clock.settle();
    expect(asked[1]?.answer).toMatchObject({ source: "engine", action: 2 });
    expect(ask(7).times).toBe(0);
    await clock.advance(3000);
    expect(intents.load).toEqual(idle);
    expect(clock.pending()).toBe(0);
  });

  test("that changes nothing about an archetype keeps what is known", async () => {
    const { clock, intents, ask, callOf } = intentScene();
    ask(7);
    callOf(7).answer(surelyBody(2));
    await clock.settle();
    intents.reconfigure(createArchetypes([guard]), settings);
    expect(ask(7).answer).toMatchObject({ action: 2, source: "fresh" });
  });

  test("asks anew about situations whose numbers the earlier set had too", async () => {
    const { clock, intents, ask, calls } = intentScene();
    ask(7);
    intents.reconfigure(changed, settings);
    const asked = ask(7);
    expect(calls.map(({ prompt }) => prompt.startsWith("Another guard."))).toEqual([false, true]);
    calls[0]?.answer(surelyBody(1));
    await clock.settle();
    expect([asked.times, ask(7).times, calls.length]).toEqual([0, 0, 1]);
    calls[0]?.answer(surelyBody(2));
    await clock.settle();
    expect(asked.answer).toMatchObject({ action: 2, source: "engine" });
  });

  test("of the routing alone reaches the next question", () => {
    const rules = [{ ...guard, model: "other" }];
    const { ask, calls, inForce } = intentScene({ rules, models: ["m", "n"] });
    ask(1);
    inForce.policy = { ...inForce.policy, aliases: new Map([["other", { tier: "gold", model: "m" }]]) };
    ask(2);
    expect(calls.map(({ request }) => request.model)).toEqual(["n", "m"]);
  });

  test("ends what is only queued: whoever waits for it takes the default at once", async () => {
    const { intents, ask, calls, outcomes } = intentScene({ slots: 1 });
    ask(7);
    const asked = ask(8);
    intents.reconfigure(changed, settings);
    expect(asked).toMatchObject({ times: 1, answer: byDefault });
    expect([intents.load.queued, calls.length, outcomes.dropped]).toEqual([0, 1, 1]);
  });

  test("answers an archetype of the earlier set by default, and asks nobody for it", () => {
    const { intents, ask, archetype, calls } = intentScene();
    const of = archetype();
    intents.reconfigure(changed, settings);
    expect(intents.archetypes).toBe(changed);
    expect(ask(7, { of })).toMatchObject({ times: 1, answer: byDefault });
    intents.settleFor(of, 7, true);
    expect(calls.length).toBe(0);
  });

  test("changes the default and the share from the next question on", async () => {
    const { clock, intents, ask, calls, archetype } = intentScene({ slots: 4, share: 1 });
    intents.reconfigure(changed, { ...settings, engineShare: 0.5 });
    for (let situation = 0; situation < 4; situation += 1) ask(situation);
    expect(calls.length).toBe(2);
    const asked = ask(9);
    await clock.advance(14);
    expect(asked.answer?.action).toBe(archetype().actions.indexOf("flee"));
  });
});

test("stopped, intents settle whoever waits, leave the engines, and ask no more", async () => {
  const { clock, intents, ask, calls, seen, idle } = intentScene({ slots: 1 });
  const asked = [ask(7), ask(8)];
  intents.stop();
  await clock.settle();
  expect(asked.map(({ times }) => times)).toEqual([1, 1]);
  expect(ask(9)).toMatchObject({ times: 1, answer: byDefault });
  expect([calls.length, seen.dispatches, intents.load, clock.pending()]).toEqual([0, 1, idle, 0]);
});
