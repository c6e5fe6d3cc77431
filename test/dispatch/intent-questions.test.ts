// How engines are asked about situations: the order, the share, failures, storms. In virtual time.

import { describe, expect, test } from "bun:test";
import { questionRule } from "../../src/dispatch/intent-questions.ts";
import { guard } from "../support/archetypes.ts";
import type { Call } from "./intent-scene.ts";
import { intentScene, scout, surelyBody } from "./intent-scene.ts";

describe("questions", () => {
  test("are asked by deadline, whoever came first", async () => {
    const { clock, ask, asking, callOf } = intentScene({ slots: 1 });
    ask(1);
    ask(2, { ms: 30 });
    ask(3, { ms: 10 });
    ask(4, { ms: 20 });
    const order: number[] = [];
    for (let turn = 0; turn < 4; turn += 1) {
      const [now = Number.NaN] = asking();
      order.push(now);
      callOf(now).answer(surelyBody(1));
      await clock.settle();
    }
    expect(order).toEqual([1, 3, 4, 2]);
  });

  test("move up when somebody joins whose deadline is sooner", async () => {
    const { clock, ask, asking, callOf } = intentScene({ slots: 1 });
    ask(1);
    ask(2, { ms: 20 });
    ask(3, { ms: 30 });
    ask(3, { ms: 10 });
    callOf(1).answer(surelyBody(1));
    await clock.settle();
    expect(asking()).toEqual([3]);
  });

  test("do not step back for one who joins and has more time", async () => {
    const { clock, ask, asking, callOf } = intentScene({ slots: 1 });
    ask(1);
    ask(2, { ms: 10 });
    ask(3, { ms: 20 });
    ask(2, { ms: 30 });
    callOf(1).answer(surelyBody(1));
    await clock.settle();
    expect(asking()).toEqual([2]);
  });

  test("of two ladders that meet at one engine are asked by deadline too", async () => {
    const rules = [guard, { ...guard, name: "sage", model: "m" }];
    const { clock, ask, archetype, callOf, calls } = intentScene({ slots: 1, rules });
    const sage = archetype("sage");
    ask(1);
    ask(2, { ms: 30 });
    ask(3, { ms: 20, of: sage });
    callOf(1).answer(surelyBody(1));
    await clock.settle();
    expect(calls.map(({ request }) => request.model)).toEqual(["m"]);
  });

  test("step back behind all others when the last who waited has gone, and are not asked when they are old", async () => {
    const { clock, ask, asking, callOf, outcomes, intents, idle } = intentScene({ slots: 1 });
    ask(1);
    ask(2, { ms: 5 });
    ask(3, { ms: 10 });
    await clock.advance(11);
    ask(4, { ms: 10 });
    callOf(1).answer(surelyBody(1));
    await clock.settle();
    expect(asking()).toEqual([4]);
    // The engine hangs on it until its limit.
    await clock.advance(questionRule.limitMs);
    expect(outcomes).toEqual({ answered: 1, failed: 1, unreadable: 0, dropped: 2 });
    expect([asking(), intents.load, clock.pending()]).toEqual([[], idle, 0]);
  });

  test("that nobody waits for any more are asked while they are of use", async () => {
    const { clock, ask, asking, callOf } = intentScene({ slots: 1 });
    ask(1);
    ask(2, { ms: 5 });
    await clock.advance(questionRule.unwaitedMostMs - 1);
    callOf(1).answer(surelyBody(1));
    await clock.settle();
    expect(asking()).toEqual([2]);
    callOf(2).answer(surelyBody(1));
    await clock.settle();
    expect(ask(2).answer?.source).toBe("fresh");
  });

  test("of an archetype with a model of its own go to that model, and pass a ladder that hangs", async () => {
    const rules = [guard, { ...guard, name: "sage", model: "other" }];
    const { ask, archetype, calls, callOf } = intentScene({ slots: 1, rules, models: ["m", "n"] });
    const sage = archetype("sage");
    ask(1, { of: sage });
    ask(2, { of: sage });
    expect(callOf(1, sage).request.model).toBe("n");
    ask(3);
    expect(calls.length).toBe(2);
    expect(callOf(3).request.model).toBeUndefined();
  });
});

describe("the share", () => {
  test("is never exceeded in a storm of 10,000 situations, all of which get a valid action in time", async () => {
    const { clock, ask, seen, script, intents, idle, archetype } = intentScene({
      rules: [scout],
      slots: 64,
      share: 0.25,
    });
    script.reply = (call) => void clock.after(8, () => call.answer(surelyBody(2)));
    const storm = Array.from({ length: 10_000 }, (_, situation) => ask(situation));
    await clock.advance(14);
    expect(storm.every(({ times, atMs }) => times === 1 && atMs <= 14)).toBe(true);
    expect(
      storm.every(({ answer }) => answer !== undefined && answer.action < archetype().actions.length),
    ).toBe(true);
    expect(storm.filter(({ answer }) => answer?.source === "engine").length).toBe(16);
    await clock.advance(questionRule.unwaitedMostMs);
    expect(seen.mostInflight).toBe(16);
    // Whoever was late has filled the table meanwhile, as long as it was worth it.
    expect(seen.dispatches).toBeGreaterThan(16 * 200);
    await clock.advance(100);
    expect(intents.load).toEqual(idle);
  });

  test("is one slot at least, and is not counted in with the slots of others", async () => {
    const { ask, calls, fleet, clock } = intentScene({ slots: 4, share: 0.01 });
    fleet.endpoints[0]?.begin("m", false, 1, clock.now());
    for (let situation = 0; situation < 5; situation += 1) ask(situation);
    expect(calls.length).toBe(1);
  });
});

describe("with no engine", () => {
  const vetoed = (scene: ReturnType<typeof intentScene>): void => {
    for (const endpoint of scene.fleet.endpoints) endpoint.setHealth("unhealthy", scene.clock.now());
  };

  test("everybody has the default at once, and 100,000 asks are not one dispatch", () => {
    const scene = intentScene({ rules: [scout] });
    vetoed(scene);
    for (let situation = 0; situation < 100_000; situation += 1) {
      if (scene.ask(situation).answer?.source !== "default") throw new Error(`${situation} had to wait`);
    }
    expect([scene.seen.dispatches, scene.intents.load, scene.clock.pending()]).toEqual([0, scene.idle, 0]);
  });

  test("any more, those who wait have the default as soon as that is known", async () => {
    const scene = intentScene({ slots: 1 });
    const { clock, ask, callOf, asking } = scene;
    const asked = [ask(1), ask(2), ask(3)];
    await clock.advance(2);
    vetoed(scene);
    callOf(1).refuse();
    await clock.settle();
    expect(asked.map(({ times, atMs }) => [times, atMs])).toEqual([
      [1, 2],
      [1, 2],
      [1, 2],
    ]);
    expect(asking()).toEqual([]);
  });

  test("that takes anything, a miss does not queue behind a question that hangs there", () => {
    const scene = intentScene();
    scene.ask(1);
    vetoed(scene);
    expect(scene.ask(2)).toMatchObject({ times: 1, answer: { source: "default" } });
  });

  test("but one that dialogue holds to its last slot, nobody waits: nothing of ours will free one", () => {
    const { ask, fleet, clock, calls } = intentScene({ slots: 2 });
    for (let turn = 0; turn < 2; turn += 1) fleet.endpoints[0]?.begin("m", false, turn, clock.now());
    expect(ask(1)).toMatchObject({ times: 1, answer: { source: "default" } });
    expect(calls.length).toBe(0);
  });

  test("until it is back: the next miss asks again", async () => {
    const scene = intentScene();
    vetoed(scene);
    expect(scene.ask(1).times).toBe(1);
    for (const endpoint of scene.fleet.endpoints) endpoint.setHealth("ok", scene.clock.now());
    expect(scene.ask(1).times).toBe(0);
    expect(scene.calls.length).toBe(1);
  });
});

describe("an engine that fails", () => {
  /** What it does to each question, and how the operator sees it. */
  const failures = [
    ["refuses", "failed", (call) => call.refuse()],
    ["says 400", "failed", (call) => call.answer(Buffer.from('{"error":{"message":"no"}}'), 400)],
    ["answers without odds", "unreadable", (call) => call.answer(Buffer.from('{"choices":[]}'))],
    ["answers nonsense", "unreadable", (call) => call.answer(Buffer.from("<html>"))],
  ] as const satisfies readonly (readonly [
    string,
    string,
    (call: ReturnType<typeof intentScene>["calls"][number]) => void,
  ])[];
  for (const [title, outcome, reply] of failures) {
    test(`because it ${title} has everybody answered by default at once, and is asked ten times a second`, async () => {
      const { clock, ask, script, seen, outcomes, intents, idle } = intentScene({ rules: [scout], slots: 4 });
      script.reply = reply;
      const asked = [];
      for (let ms = 0; ms < 1000; ms += 1) {
        for (let each = 0; each < 10; each += 1) asked.push(ask(ms * 10 + each));
        await clock.advance(1);
      }
      expect(
        asked.every(({ times, atMs, answer }) => times === 1 && atMs <= 1 && answer?.source === "default"),
      ).toBe(true);
      // The first wave, then one after each pause.
      expect(seen.dispatches).toBeGreaterThan(10);
      expect(seen.dispatches).toBeLessThanOrEqual(10 + 10);
      expect(outcomes[outcome]).toBe(seen.dispatches);
      expect([intents.load, clock.pending()]).toEqual([idle, 0]);
    });
  }

  test("now and then pauses nothing", async () => {
    const { clock, ask, script, seen } = intentScene({ rules: [scout] });
    script.reply = (call) => (seen.dispatches % 3 === 0 ? call.answer(surelyBody(1)) : call.refuse());
    for (let situation = 0; situation < 99; situation += 1) {
      ask(situation);
      await clock.settle();
    }
    expect(seen.dispatches).toBe(99);
  });

  test("and is well again is asked as before after one good answer", async () => {
    const { clock, ask, calls, callOf, script } = intentScene({ rules: [scout] });
    script.reply = (call) => call.refuse();
    for (let situation = 0; situation < questionRule.failuresMost; situation += 1) {
      ask(situation);
      await clock.settle();
    }
    script.reply = undefined;
    expect(ask(10).times).toBe(1);
    await clock.advance(questionRule.pauseMs);
    expect([ask(10).times, ask(11).times, calls.length]).toEqual([0, 1, 1]);
    callOf(10).answer(surelyBody(1));
    await clock.settle();
    expect([ask(11).times, ask(12).times, calls.length]).toEqual([0, 0, 2]);
  });

  test("at one archetype's questions keeps none of its NPCs waiting behind another's", async () => {
    const rules = [guard, { ...guard, name: "mage" }];
    const { clock, ask, archetype, script, intents } = intentScene({ slots: 1, rules });
    const mage = archetype("mage");
    script.reply = (call) => call.refuse();
    for (let situation = 0; situation < questionRule.failuresMost; situation += 1) {
      ask(situation, { of: mage });
      await clock.settle();
    }
    script.reply = undefined;
    ask(1);
    ask(2);
    expect(ask(9, { of: mage, ms: 50 }).times).toBe(1);
    expect(intents.load.queued).toBe(1);
  });

  test("at one archetype's questions does not stop those of another", async () => {
    const { clock, ask, archetype, script, seen } = intentScene({
      rules: [guard, { ...guard, name: "mage" }],
    });
    const mage = archetype("mage");
    script.reply = (call) => call.refuse();
    for (let situation = 0; situation < 5; situation += 1) {
      ask(situation, { of: mage });
      await clock.settle();
    }
    expect(seen.dispatches).toBe(questionRule.failuresMost);
    script.reply = undefined;
    expect(ask(1).times).toBe(0);
    expect(ask(1, { of: mage }).times).toBe(1);
  });
});

describe("a hung engine", () => {
  test("has 100,000 asks answered by default at their deadlines, and nothing of them is left", async () => {
    const { clock, ask, seen, intents, idle, outcomes } = intentScene({
      rules: [scout],
      slots: 8,
      share: 0.5,
    });
    let answered = 0;
    let late = 0;
    for (let ms = 0; ms < 100; ms += 1) {
      const batch = Array.from({ length: 1000 }, (_, each) => ask(ms * 1000 + each));
      clock.after(14, () => {
        // Set after the deadline's own timer, so everybody must have been told by now.
        answered += batch.filter(({ times, answer }) => times === 1 && answer?.source === "default").length;
        late += batch.filter(({ atMs }) => !(atMs <= 14)).length;
      });
      await clock.advance(1);
      expect(intents.load.queued).toBeLessThanOrEqual(questionRule.queuedMost);
    }
    await clock.advance(14);
    expect([answered, late]).toEqual([100_000, 0]);
    expect(seen.mostInflight).toBe(4);
    await clock.advance(3 * questionRule.limitMs);
    expect([intents.load, clock.pending()]).toEqual([idle, 0]);
    expect(outcomes.failed + outcomes.dropped).toBe(100_000);
  });
});

test("the queue is bounded: refreshes go first, then the least urgent, whose NPCs take the default at once", async () => {
  const { ask, intents, outcomes, archetype } = intentScene({ rules: [scout], slots: 1 });
  ask(0, { ms: 1000 });
  const most = questionRule.queuedMost;
  intents.settleFor(archetype(), 1, true);
  const crowd = Array.from({ length: most - 1 }, (_, index) => ask(2 + index, { ms: 100 }));
  expect([intents.load.queued, outcomes.dropped]).toEqual([most, 0]);
  // The fill goes for a miss, then a miss for a more urgent one; a less urgent one finds no place.
  const urgent = [ask(50_000, { ms: 50 }), ask(50_001, { ms: 50 })];
  const idleOne = ask(50_002, { ms: 500 });
  expect([intents.load.queued, outcomes.dropped]).toEqual([most, 3]);
  expect(urgent.map(({ times }) => times)).toEqual([0, 0]);
  expect(crowd.filter(({ times }) => times === 1).length).toBe(1);
  expect(idleOne.times).toBe(1);
});

describe("an engine that answers something else", () => {
  const answers: readonly (readonly [
    what: string,
    answer: (call: Call) => void,
    engines: readonly string[],
  ])[] = [
    ["a refusal of the question", (call) => call.answer(Buffer.from("{}"), 400), ["engine-of-m"]],
    ["no odds", (call) => call.answer(Buffer.from('{"choices":[]}')), ["engine-of-m"]],
    ["the odds", (call) => call.answer(surelyBody(1)), []],
    ["nothing", (call) => call.refuse(), []],
  ];
  for (const [what, answer, engines] of answers) {
    test(`is told of when it is ${what}: ${engines.length === 1 ? "yes" : "no"}`, async () => {
      const { clock, ask, callOf, misanswered } = intentScene();
      ask(1);
      answer(callOf(1));
      await clock.settle();
      expect(misanswered).toEqual([...engines]);
    });
  }
});

test("an NPC that has more time than a question's own is waited with", async () => {
  const { clock, ask, callOf } = intentScene();
  const asked = ask(1, { ms: 9000 });
  await clock.advance(questionRule.limitMs + 1000);
  callOf(1).answer(surelyBody(2));
  await clock.settle();
  expect(asked.answer).toMatchObject({ action: 2, source: "engine" });
});
