// The simulated engine as one that is asked for intents: it obeys or ignores what holds it to the letters, has an opinion
// of each situation, and answers questions together in hardly more time than one.

import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import type { SimulatedEngine } from "../../playground/simulated-engine.ts";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { dialects } from "../../src/engines/engine.ts";
import type { IntentConstraint } from "../../src/engines/intent-constraint.ts";
import { unconstrained, withoutOdds } from "../../src/engines/intent-constraint.ts";
import { intentBody, readChosenOption, readIntentOdds } from "../../src/engines/intent-question.ts";
import { promptOf } from "../../src/intents/prompt.ts";
import { guard, only } from "../support/archetypes.ts";

const archetype = only(guard);
const options = archetype.actions.length;

let engine: SimulatedEngine;

beforeEach(async () => {
  engine = await startSimulatedEngine({ model: "npc", msPerToken: 0, msPerPromptToken: 0 });
});
afterEach(() => engine.stop());

async function ask(situation: number, constraint: IntentConstraint, url = engine.url): Promise<Uint8Array> {
  const question = { prompt: promptOf(archetype, situation), options, temperature: 0 };
  const response = await fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: intentBody("npc", question, constraint),
  });
  expect(response.status).toBe(200);
  return new Uint8Array(await response.arrayBuffer());
}

const oddsOf = async (situation: number, constraint: IntentConstraint): Promise<number[]> =>
  readIntentOdds(await ask(situation, constraint), options) ?? [];

const best = (odds: readonly number[]): number => odds.indexOf(Math.max(...odds));

const obeyed = (["vllm", "tensorrt-llm", "llama-cpp"] as const).map(
  (kind) => dialects[kind].intentConstraints[0],
);
const held = dialects.vllm.intentConstraints[0];

describe.each(obeyed.map((constraint) => [constraint.name, constraint] as const))(
  "held by %s",
  (_, constraint) => {
    test("it says one of the letters, the likeliest, and gives odds for all of them", async () => {
      const body = await ask(57, constraint);
      const odds = readIntentOdds(body, options) ?? [];
      expect(odds).toHaveLength(options);
      expect(Math.min(...odds)).toBeGreaterThan(0);
      expect(readChosenOption(body, options)).toBe(best(odds));
    });

    test("it has the same odds for the same situation, and others for others", async () => {
      const first = await oddsOf(1, constraint);
      expect(await oddsOf(1, constraint)).toEqual(first);
      const all = await Promise.all(
        Array.from({ length: 24 }, (_, situation) => oddsOf(situation, constraint)),
      );
      expect(new Set(all.map(String)).size).toBe(24);
      // A game would be dull if all situations came to one action.
      expect(new Set(all.map(best)).size).toBe(options);
    });
  },
);

describe("held to nothing, or ignoring what holds it", () => {
  test("it leans to the letters of the prompt: the odds are those that it has when held", async () => {
    const expected = await oddsOf(57, held);
    const free = await oddsOf(57, unconstrained);
    engine.fault({ kind: "ignore-constraints" });
    const ignored = await oddsOf(57, held);
    for (const odds of [free, ignored]) {
      expect(best(odds)).toBe(best(expected));
      for (const [option, one] of expected.entries()) expect(odds[option]).toBeCloseTo(one, 1);
    }
  });

  test("it says a word where the prompt names no letters", async () => {
    engine.fault({ kind: "ignore-constraints" });
    const response = await fetch(`${engine.url}/v1/chat/completions`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: intentBody("npc", { prompt: "How much is 30 + 9?", options, temperature: 0 }, held),
    });
    expect(readChosenOption(new Uint8Array(await response.arrayBuffer()), options)).toBeUndefined();
  });

  test("it says a letter where no log-probabilities are asked for", async () => {
    const body = await ask(57, withoutOdds(held));
    const odds = readIntentOdds(body, options) ?? [];
    expect(odds.filter((one) => one > 0)).toEqual([1]);
  });
});

test("five questions asked together take no more than 1/2.5 of the time that they take one after another", async () => {
  const gold = await startSimulatedEngine({ model: "npc", msPerToken: 9 });
  const situations = [3, 14, 15, 92, 65];
  const together: number[] = [];
  const apart: number[] = [];
  await ask(0, held, gold.url);
  for (let round = 0; round < 5; round += 1) {
    let from = performance.now();
    for (const situation of situations) await ask(situation, held, gold.url);
    apart.push(performance.now() - from);
    from = performance.now();
    await Promise.all(situations.map((situation) => ask(situation, held, gold.url)));
    together.push(performance.now() - from);
  }
  await gold.stop();
  const median = (times: number[]): number => times.sort((a, b) => a - b)[2] ?? 0;
  expect(median(apart) / median(together)).toBeGreaterThan(2.5);
  expect(gold.stats().peakRunning).toBe(situations.length);
});
