// Questions of intents that go to a peer: when, how many, and what the NPC is told of it. In virtual time.

import { describe, expect, test } from "bun:test";
import type { RoutingPolicy } from "../../src/routing/sla.ts";
import { intentScene, policy, surelyBody } from "./intent-scene.ts";

const { gold, silver } = policy.rungs;
const rule = { ladder: [gold, silver], firstByteMs: 250, totalMs: 2000 };
const goldThenSilver: RoutingPolicy = { ...policy, sla: { realtime: rule, interactive: rule, async: rule } };
const unreadable = Buffer.from('{"choices":[]}');

describe("an NPC whose host has no engine for it", () => {
  test("is answered by a peer's, as are all who wait with it, and the next one from this router's own table", async () => {
    const { clock, ask, calls, intents, idle, table } = intentScene({ models: [], peers: { p: 4 } });
    const [first, second] = [ask(7), ask(7)];
    await clock.advance(9);
    expect(calls.map(({ at }) => at)).toEqual(["p/vllm"]);
    calls[0]?.answer(surelyBody(2));
    await clock.settle();
    for (const asked of [first, second])
      expect(asked).toMatchObject({ times: 1, atMs: 9, answer: { action: 2, source: "peer", ageMs: 0 } });
    expect(ask(7).answer).toMatchObject({ action: 2, source: "fresh" });
    expect(table.stats()).toMatchObject({ misses: 1, joins: 1, hits: 1 });
    expect([intents.load, clock.pending()]).toEqual([idle, 0]);
  });

  test("has the default at its deadline where the peer is late, and the late answer fills the table", async () => {
    const { clock, ask, calls } = intentScene({ models: [], peers: { p: 4 } });
    const asked = ask(7, { ms: 14 });
    await clock.advance(13);
    expect(asked.times).toBe(0);
    await clock.advance(1);
    expect(asked).toMatchObject({ times: 1, atMs: 14, answer: { source: "default" } });
    calls[0]?.answer(surelyBody(3));
    await clock.settle();
    expect(ask(7).answer).toMatchObject({ action: 3, source: "fresh" });
  });

  test("is answered stale at once, while the peer is asked behind", async () => {
    const { clock, ask, calls, hear } = intentScene({ models: [], peers: { p: 4 } });
    ask(7);
    calls[0]?.answer(surelyBody(2));
    await clock.advance(1500);
    hear("p");
    expect(ask(7).answer).toMatchObject({ action: 2, source: "stale" });
    calls[0]?.answer(surelyBody(3));
    await clock.settle();
    expect(ask(7).answer).toMatchObject({ action: 3, source: "fresh" });
  });

  for (const [what, state] of [
    ["suspect", "suspect"],
    ["dead", "dead"],
  ] as const) {
    test(`has the default where the only peer is ${what}, and nobody is asked`, async () => {
      const { clock, ask, hear, seen, intents, idle } = intentScene({ models: [], peers: { p: 4 } });
      hear("p", state);
      const asked = ask(7);
      await clock.advance(14);
      expect(asked).toMatchObject({ times: 1, answer: { source: "default" } });
      expect([seen.dispatches, intents.load]).toEqual([0, idle]);
      hear("p");
      ask(8);
      expect(seen.dispatches).toBe(1);
    });
  }

  test("has the default where no more has been heard of the peer for ten seconds", async () => {
    const { clock, ask, seen } = intentScene({ models: [], peers: { p: 4 } });
    await clock.advance(10_001);
    expect(ask(7).answer?.source).toBe("default");
    expect(seen.dispatches).toBe(0);
  });
});

test("a host with Silver only asks a Gold peer about its NPCs, and its own engine where that has gone", async () => {
  const { clock, ask, calls, hear, inForce } = intentScene({ tier: "silver", peers: { p: 4 } });
  inForce.policy = goldThenSilver;
  const byPeer = ask(7);
  expect(calls.map(({ at }) => at)).toEqual(["p/vllm"]);
  calls[0]?.answer(surelyBody(2));
  await clock.settle();
  expect(byPeer.answer).toMatchObject({ action: 2, source: "peer" });
  hear("p", "dead");
  const byOwn = ask(8);
  expect(calls.map(({ at }) => at)).toEqual(["engine-of-m"]);
  calls[0]?.answer(surelyBody(3));
  await clock.settle();
  expect(byOwn.answer).toMatchObject({ action: 3, source: "engine" });
});

describe("a storm of situations", () => {
  test("takes this host's share first, then the same share of each peer's slots, and no more", async () => {
    const { clock, ask, calls, fleet } = intentScene({ slots: 4, share: 0.5, peers: { p: 8, q: 2 } });
    const storm = Array.from({ length: 20 }, (_, situation) => ask(situation));
    const places = () => Object.fromEntries(fleet.endpoints.map(({ spec, sharing }) => [spec.name, sharing]));
    expect(calls.slice(0, 2).map(({ at }) => at)).toEqual(["engine-of-m", "engine-of-m"]);
    const full = { "engine-of-m": 2, "p/vllm": 4, "q/vllm": 1 };
    expect(places()).toEqual(full);
    for (const call of calls.slice(0, 4)) call.answer(surelyBody(1));
    await clock.settle();
    expect(places()).toEqual(full);
    const told = storm.flatMap(({ answer }) => (answer === undefined ? [] : [answer.source]));
    expect(told.toSorted()).toEqual(["engine", "engine", "peer", "peer"]);
  });
});

test("an engine that answers something else is doubted where it is this host's, and left to its own router where not", async () => {
  const { clock, ask, calls, misanswered, outcomes } = intentScene({ slots: 1, peers: { p: 1 } });
  const [here, there] = [ask(1), ask(2)];
  expect(calls.map(({ at }) => at)).toEqual(["engine-of-m", "p/vllm"]);
  for (const call of [...calls]) call.answer(unreadable);
  await clock.settle();
  for (const { answer } of [here, there]) expect(answer?.source).toBe("default");
  expect(misanswered).toEqual(["engine-of-m"]);
  expect(outcomes.unreadable).toBe(2);
});
