// The real llama.cpp engine as its own process: it answers, streams, obeys a grammar, and lets go when a client leaves.

import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { createAsk } from "../../src/engines/ask.ts";
import { intentBody, readIntentOdds } from "../../src/engines/intent-question.ts";
import { llamaCpp } from "../../src/engines/llama-cpp.ts";
import { verifyConstraint } from "../../src/engines/verify-constraint.ts";
import { promptOf } from "../../src/intents/prompt.ts";
import { createWireClient } from "../../src/wire/client.ts";
import { guard, only } from "../support/archetypes.ts";

let child: Bun.Subprocess<"ignore", "pipe", "ignore">;
let url: string;

beforeAll(async () => {
  child = Bun.spawn(
    [process.execPath, join(import.meta.dir, "../../playground/llama-engine.ts"), "--slots", "2"],
    {
      stdin: "ignore",
      stdout: "pipe",
      // llama.cpp complains there of the grammar that is meant to be wrong.
      stderr: "ignore",
    },
  );
  const { value } = await child.stdout.getReader().read();
  url = JSON.parse(new TextDecoder().decode(value)).url;
}, 30_000);

afterAll(async () => {
  child.kill();
  await child.exited;
});

interface Answer {
  readonly choices: readonly [
    {
      readonly message: { readonly content: string };
      readonly finish_reason: string;
      readonly logprobs: { readonly content: readonly { readonly top_logprobs: readonly object[] }[] } | null;
    },
  ];
  readonly usage: { readonly prompt_tokens: number; readonly completion_tokens: number };
}

const post = (more: object, init: RequestInit = {}): Promise<Response> =>
  fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    body: JSON.stringify({ messages: [{ role: "user", content: "hello" }], temperature: 0, ...more }),
    ...init,
  });

const chat = async (more: object): Promise<Answer> => JSON.parse(await (await post(more)).text());

const stats = async (): Promise<Record<string, number>> =>
  JSON.parse(await (await fetch(`${url}/control/stats`)).text());

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await Bun.sleep(1);
}

test("it is healthy and lists its model", async () => {
  expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: "ok" });
  expect(await (await fetch(`${url}/v1/models`)).json()).toMatchObject({ data: [{ id: "tiny-npc" }] });
});

test("the llama.cpp dialect reads its figures", async () => {
  const metrics = await fetch(`${url}/metrics`);
  expect(llamaCpp.gauges?.read(metrics.status, await metrics.text())).toMatchObject({
    running: 0,
    waiting: 0,
  });
});

test("a chat is answered with as many tokens as were asked for, the same at temperature 0", async () => {
  const answer = await chat({ max_tokens: 8 });
  expect(answer.usage).toMatchObject({ completion_tokens: 8 });
  expect(answer.choices[0]).toMatchObject({ finish_reason: "length", logprobs: null });
  expect((await chat({ max_tokens: 8 })).choices[0].message.content).toBe(answer.choices[0].message.content);
});

test("a stream says the same as a whole answer, and ends with its usage and [DONE]", async () => {
  const whole = await chat({ max_tokens: 8 });
  const text = await (
    await post({ max_tokens: 8, stream: true, stream_options: { include_usage: true } })
  ).text();
  const frames = text.split("\n\n").flatMap((event) => (event.startsWith("data: ") ? [event.slice(6)] : []));
  expect(frames.pop()).toBe("[DONE]");
  expect(JSON.parse(frames.pop() ?? "")).toMatchObject({ choices: [], usage: whole.usage });
  const said = frames.map((frame) => JSON.parse(frame).choices[0].delta.content ?? "").join("");
  expect(said).toBe(whole.choices[0].message.content);
});

test("a stop string ends the answer and is not part of it", async () => {
  const { content } = (await chat({ max_tokens: 8 })).choices[0].message;
  const stopped = (await chat({ max_tokens: 8, stop: content.slice(3, 5) })).choices[0];
  expect(stopped).toMatchObject({ finish_reason: "stop", message: { content: content.slice(0, 3) } });
});

test("a JSON schema is obeyed", async () => {
  const schema = {
    type: "object",
    properties: { intent: { enum: ["flee", "patrol"] } },
    required: ["intent"],
  };
  const format = { type: "json_schema", json_schema: { name: "intent", schema } };
  const { content } = (await chat({ max_tokens: 100, response_format: format })).choices[0].message;
  expect(["flee", "patrol"]).toContain(JSON.parse(content).intent);
});

test("a grammar of letters gives one letter, with the probabilities of the others", async () => {
  const answer = await chat({
    max_tokens: 1,
    grammar: 'root ::= "A" | "B"',
    logprobs: true,
    top_logprobs: 3,
  });
  expect(["A", "B"]).toContain(answer.choices[0].message.content);
  expect(answer.choices[0].logprobs?.content[0]?.top_logprobs).toHaveLength(3);
});

describe("asked for intents", () => {
  const archetype = only(guard);
  const options = archetype.actions.length;
  const [grammar] = llamaCpp.intentConstraints;

  const ask = async (situation: number): Promise<number[]> => {
    const question = { prompt: promptOf(archetype, situation), options, temperature: 0 };
    const body = intentBody("tiny-npc", question, grammar);
    const response = await fetch(`${url}/v1/chat/completions`, { method: "POST", body });
    return readIntentOdds(new Uint8Array(await response.arrayBuffer()), options) ?? [];
  };

  test("it has odds for each of six actions, which sum to 1 and are others in another situation", async () => {
    const all = await Promise.all([0, 1, 57, 119].map(ask));
    for (const odds of all) {
      expect(odds).toHaveLength(6);
      expect(Math.min(...odds)).toBeGreaterThan(0);
      expect(odds.reduce((sum, one) => sum + one, 0)).toBeCloseTo(1, 9);
    }
    expect(new Set(all.map(String)).size).toBe(4);
    // Not to the last place: sequences that are decoded together round differently from one alone.
    for (const [option, one] of (await ask(57)).entries()) expect(all[2]?.[option]).toBeCloseTo(one, 1);
  });

  test("it is found to obey its grammar, whatever it is asked", async () => {
    const asking = createWireClient({ host: "127.0.0.1", port: Number(new URL(url).port) }, systemClock, {
      maxConnections: 1,
    });
    const tools = { dialect: llamaCpp, ask: createAsk(asking, systemClock, []) };
    const verified = await verifyConstraint(tools, "tiny-npc", options, new AbortController().signal);
    asking.close();
    expect(verified).toEqual({ constraint: grammar, held: true });
  });
});

test.each([
  ["a grammar that cannot be read", { grammar: "root :=" }, 400],
  ["an unknown model", { model: "nope" }, 404],
  ["a prompt beyond the context", { messages: [{ role: "user", content: "x".repeat(1200) }] }, 400],
])("%s is refused in llama-server's shape", async (_, more, status) => {
  const answer = await post(more);
  expect(answer.status).toBe(status);
  expect(await answer.json()).toMatchObject({ error: { code: status, message: expect.any(String) } });
});

test("two run and the third waits; clients that leave free their sequences within 50 ms", async () => {
  const before = await stats();
  const leaving = new AbortController();
  const endless = { stream: true, temperature: 1, grammar: "root ::= [a-z] root" };
  const answers = [1, 2, 3].map(() => post(endless, { signal: leaving.signal }).catch(() => undefined));
  await until(async () => (await stats())["waiting"] === 1);
  expect(await stats()).toMatchObject({ running: 2, slots: 2 });
  leaving.abort();
  const from = performance.now();
  await until(async () => (await stats())["running"] === 0);
  expect(performance.now() - from).toBeLessThan(50);
  await Promise.all(answers);
  expect(await stats()).toMatchObject({ waiting: 0, aborted: (before["aborted"] ?? 0) + 3 });
});
