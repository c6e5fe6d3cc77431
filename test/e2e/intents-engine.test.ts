// What engines see of NPC intents through the compiled binary: one token each, one call a situation, never more than
// their share.

import { describe, expect, test } from "bun:test";
import type { Fault } from "../../playground/simulated/faults.ts";
import type { SimulatedEngine } from "../../playground/simulated-engine.ts";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { chat, messages, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import {
  askBatch,
  askOne,
  guardToml,
  scoutActions,
  scoutFeatures,
  scoutToml,
} from "../support/intent-client.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

const patient = "[intents]\ndeadline_ms = 5000\nttl_ms = 60000\n";

async function house({
  engine = {},
  fault,
  more = "",
  intents = patient,
  kind = "vllm",
}: Partial<{
  engine: Parameters<typeof startSimulatedEngine>[0];
  fault: Fault;
  more: string;
  intents: string;
  kind: string;
}> = {}) {
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1, ...engine }));
  if (fault !== undefined) gold.fault(fault);
  const config = engineToml("gold", gold.url, more, kind) + intents + guardToml + scoutToml;
  const router = ends(await startTierline({ config }));
  // Until then it is asked whether it obeys, beside everything else.
  await router.logged(({ constraint }) => constraint !== undefined);
  return { gold, router };
}

/** The questions about NPCs: dialogue and the check of the constraint have other prompts. */
const questions = (engine: SimulatedEngine) =>
  engine
    .requests()
    .filter(({ path, body }) => path === "/v1/chat/completions" && body.includes("The situation:"))
    .map(({ body, headers }) => ({ body: JSON.parse(body), headers }));

const guard = (threat: number, more = {}) => ({ archetype: "guard", npc: 1, features: { threat }, ...more });
const scouts = (from: number, count: number) =>
  Array.from({ length: count }, (_, index) => ({
    archetype: "scout",
    npc: from + index,
    features: scoutFeatures(from + index),
  }));

describe("the engine", () => {
  test("is asked for exactly one token, one of the letters, in the very prompt that explain shows", async () => {
    const { gold, router } = await house();
    const { prompt, source } = await askOne(router.url, guard(0.6, { explain: true }));
    expect(source).toBe("engine");
    const asked = questions(gold);
    expect(asked).toHaveLength(1);
    const { priority, ...body } = asked[0]?.body ?? {};
    expect(body).toEqual({
      model: "small",
      messages: [{ role: "user", content: prompt }],
      max_tokens: 1,
      temperature: 0,
      logprobs: true,
      top_logprobs: 6,
      stream: false,
      structured_outputs: { choice: ["A", "B", "C", "D", "E", "F"] },
    });
    // vLLM takes the lowest first, and dialogue goes without.
    expect(typeof priority).toBe("number");
    const { headers } = asked[0] ?? {};
    expect(headers?.["x-request-id"]).toMatch(/^intent_/);
    expect(headers?.["authorization"]).toBeUndefined();
  });

  test("reads the same beginning in all situations of an archetype, so its prefix cache serves", async () => {
    const { gold, router } = await house();
    await askBatch(
      router.url,
      [0, 0.3, 0.6, 0.9].map((threat) => guard(threat)),
    );
    const prompts = questions(gold).map(({ body }) => String(body.messages[0].content));
    expect(prompts).toHaveLength(4);
    expect(new Set(prompts).size).toBe(4);
    const begins = prompts.map((prompt) => prompt.slice(0, prompt.indexOf("The situation:")));
    expect(new Set(begins).size).toBe(1);
    expect(begins[0]).toStartWith("A castle guard. He is loyal, and no hero.");
    expect(begins[0]).toContain("F: call_help");
  });

  test("is called once where a hundred ask the same at once", async () => {
    const { gold, router } = await house({ engine: { msPerToken: 200 } });
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, npc) => askOne(router.url, { ...guard(0.6), npc })),
    );
    expect(questions(gold)).toHaveLength(1);
    expect(new Set(answers.map(({ intent }) => intent)).size).toBe(1);
    expect(answers.filter(({ source }) => source === "default")).toEqual([]);
    expect(await router.metric("tierline_intents_total", { source: "default" })).toBe(0);
    expect((await askBatch(router.url, Array<object>(100).fill(guard(0.6))))[99]?.source).toBe("fresh");
    expect(questions(gold)).toHaveLength(1);
  });

  test("is asked about the situations of a batch together, not one after another", async () => {
    const { gold, router } = await house({ engine: { msPerToken: 100, fullBatchSlowdown: 0 } });
    const began = performance.now();
    const answers = await askBatch(router.url, scouts(0, 16));
    const tookMs = performance.now() - began;
    expect(answers.every(({ source }) => source === "engine")).toBe(true);
    expect(gold.stats().peakRunning).toBe(16);
    // One after another they take 1,600 ms.
    expect(tookMs).toBeLessThan(1600 / 2.5);
  });

  test("that takes no notice of the constraint is understood all the same", async () => {
    const { router } = await house({ fault: { kind: "ignore-constraints" } });
    const answers = await askBatch(router.url, scouts(0, 100));
    expect(answers.filter(({ source }) => source !== "engine")).toEqual([]);
    expect(answers.every(({ intent, action }) => scoutActions[action] === intent)).toBe(true);
  });

  test.each(["llama-cpp", "tensorrt-llm", "openai"])(
    "of the kind %s is asked in its own words",
    async (kind) => {
      const { gold, router } = await house({ kind });
      const [answer] = await askBatch(router.url, scouts(4, 1));
      expect(answer?.source).toBe("engine");
      expect(questions(gold)[0]?.body).toMatchObject({ max_tokens: 1, stream: false });
    },
  );
});

test("a storm of 10,000 situations never takes more than its share, and dialogue goes on beside it", async () => {
  const share = "engine_share = 0.25\n";
  const { gold, router } = await house({
    engine: { msPerToken: 5, recorded: 20_000 },
    more: "max_concurrent = 18",
    intents: `[intents]\ndeadline_ms = 14\nttl_ms = 60000\n${share}`,
  });
  const rss = () => router.metric("process_resident_memory_bytes");
  // What the machine needs for an answer while there is no storm.
  const talk = async (): Promise<number> => {
    const began = performance.now();
    const response = await chat(router.url, { model: "gold", messages, max_tokens: 4 });
    await response.arrayBuffer();
    expect(response.status).toBe(200);
    return performance.now() - began;
  };
  await talk();
  const quiet = [await talk(), await talk(), await talk()].sort((a, b) => a - b);
  const before = await rss();
  const atDialogue = gold.stats().peakRunning;
  expect(atDialogue).toBe(1);

  let storming = true;
  let peakIntents = 0;
  const watching = (async () => {
    while (storming) {
      peakIntents = Math.max(peakIntents, gold.stats().running);
      await Bun.sleep(1);
    }
  })();
  const storm = async (): Promise<void> => {
    for (let from = 0; from < 10_000; from += 500) {
      const answers = await askBatch(router.url, scouts(from, 500));
      expect(answers.every(({ intent, action }) => scoutActions[action] === intent)).toBe(true);
    }
  };
  await storm();
  // floor(0.25 * 18): intents alone have never held more.
  expect(gold.stats().peakRunning).toBeLessThanOrEqual(4);
  expect(gold.stats().peakRunning).toBeGreaterThan(1);

  const loud: number[] = [];
  await Promise.all([
    storm(),
    (async () => {
      for (let turn = 0; turn < 10; turn += 1) loud.push(await talk());
    })(),
  ]);
  storming = false;
  await watching;
  expect(gold.stats().peakRunning).toBeLessThanOrEqual(5);
  expect(peakIntents).toBeLessThanOrEqual(5);
  loud.sort((a, b) => a - b);
  // Four tokens of 5 ms are 20 ms; waiting behind 10,000 questions would take seconds.
  expect(loud[5]).toBeLessThan((quiet[1] ?? 0) + 400);
  expect((await rss()) - before).toBeLessThan(120e6);
  await until("the storm has passed", async () => (await router.metric("tierline_inflight")) === 0);
  expect(
    (await router.metric("tierline_attempts_total", { outcome: "ok" })) -
      (await router.metric("tierline_intent_questions_total", { outcome: "answered" })),
  ).toBe(14);
}, 30_000);
