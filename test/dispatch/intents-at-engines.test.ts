// Intents over the real dispatch and fleet: what a storm of them leaves to dialogue, and what a dead engine costs.

import { describe, expect, test } from "bun:test";
import { createIntents } from "../../src/dispatch/intents.ts";
import { createArchetypes } from "../../src/intents/archetype.ts";
import type { IntentAnswer } from "../../src/intents/intent-answer.ts";
import { createIntentTable } from "../../src/intents/intent-table.ts";
import { policy, scout, surelyBody } from "./intent-scene.ts";
import type { Engine } from "./scene.ts";
import { hangs, json, refused, scene, status, told } from "./scene.ts";

const letter = (atMs: number) => json(Buffer.from(surelyBody(2)).toString(), atMs);

function intentsAt(engine: Engine, share = 0.5) {
  const stage = scene({ g: engine });
  const { clock, fleet, dispatch, endpointOf, wireOf } = stage;
  const archetypes = createArchetypes([scout]);
  const [archetype] = archetypes.all;
  if (archetype === undefined) throw new Error("no archetype");
  const table = createIntentTable(archetypes, { maxEntries: 100_000, maxBytes: 2 ** 28 }, clock.now);
  const intents = createIntents({
    table,
    dispatch,
    fleet,
    policy: () => policy,
    clock,
    random: () => 0.5,
    engineShare: share,
    events: { questionEnded: () => undefined, engineMisanswered: () => undefined },
  });
  const sources = { engine: 0, default: 0, fresh: 0, stale: 0, peer: 0 };
  const npc = (situation: number, ms = 14): void => {
    const settle = ({ source }: IntentAnswer): void => {
      sources[source] += 1;
    };
    intents.wait({ archetype, situation, seed: 1 }, clock.now() + ms, settle);
  };
  const g = endpointOf("g");
  const most = { sharing: 0, open: 0 };
  /** Moves time and watches, a millisecond at a time. */
  const watch = async (ms: number): Promise<void> => {
    for (let step = 0; step < ms; step += 1) {
      await clock.advance(1);
      most.sharing = Math.max(most.sharing, g.sharing);
      most.open = Math.max(most.open, wireOf("g").open());
    }
  };
  return { ...stage, talk: stage.ask, npc, intents, sources, most, watch, g };
}

describe("a storm of 10,000 situations", () => {
  test("holds its share of the slots and no more, and a dialogue has its slot at once meanwhile", async () => {
    const { npc, talk, most, watch, sources, wireOf, expectPeace } = intentsAt({
      slots: 8,
      replies: [letter(8)],
    });
    for (let situation = 0; situation < 10_000; situation += 1) npc(situation);
    await watch(5);
    const dialogue = talk();
    await watch(8);
    expect(told(dialogue.done)).toBe("answer 200 by g because local-first after 1");
    expect(dialogue.done?.journey.queuedMs).toBe(0);
    await watch(2100);
    expect(most).toEqual({ sharing: 4, open: 5 });
    expect(sources.engine + sources.default).toBe(10_000);
    expect(sources.engine).toBe(4);
    expect(wireOf("g").requests.length).toBeGreaterThan(900);
    expectPeace();
  });

  test("takes of a full engine's waiting room no more than its share, and its turn before dialogue's", async () => {
    const { npc, talk, clock, most, watch, g, expectPeace } = intentsAt({
      slots: 4,
      queueLimit: 16,
      replies: [letter(20)],
    });
    const running = Array.from({ length: 4 }, () => talk());
    const waiting = Array.from({ length: 4 }, () => talk({ deadline: clock.now() + 60_000 }));
    for (let situation = 0; situation < 100; situation += 1) npc(situation, 45);
    expect([g.inflight, g.waiting, g.sharing]).toEqual([4, 6, 2]);
    await watch(21);
    expect(running.every(({ done }) => done?.kind === "answer")).toBe(true);
    expect([g.inflight, g.sharing, g.waiting]).toEqual([4, 2, 2]);
    await watch(3000);
    expect(waiting.every(({ done }) => done?.kind === "answer")).toBe(true);
    expect(most.sharing).toBe(2);
    expectPeace();
  });
});

describe("an engine that is", () => {
  test("dead costs nobody a wait, and is asked a few times a second, not 100,000", async () => {
    const { npc, watch, sources, wireOf, expectPeace } = intentsAt({ slots: 8, replies: [refused] });
    for (let ms = 0; ms < 1000; ms += 1) {
      for (let each = 0; each < 20; each += 1) npc(ms * 20 + each, 14);
      await watch(1);
      expect(sources.default).toBe((ms + 1) * 20);
    }
    expect(wireOf("g").requests.length).toBeGreaterThan(3);
    expect(wireOf("g").requests.length).toBeLessThan(40);
    expectPeace();
  });

  test("out of order is left alone by them too", async () => {
    const { npc, watch, sources, wireOf } = intentsAt({ slots: 8, replies: [status(500)] });
    for (let ms = 0; ms < 1000; ms += 1) {
      npc(ms);
      await watch(1);
    }
    await watch(14);
    expect(sources).toMatchObject({ engine: 0, default: 1000 });
    expect(wireOf("g").requests.length).toBeLessThan(40);
  });

  test("hung has everybody answered by default in time, and leaves nothing behind", async () => {
    const { npc, watch, sources, intents, most, expectPeace } = intentsAt({ slots: 8, replies: [hangs] });
    for (let situation = 0; situation < 20_000; situation += 1) npc(situation);
    await watch(14);
    expect(sources.default).toBe(20_000);
    await watch(6000);
    expect(most.sharing).toBe(4);
    expect(intents.load).toEqual({ waiting: 0, queued: 0, asked: 0 });
    expectPeace();
  });
});
