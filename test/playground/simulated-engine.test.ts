// The simulated engine over real sockets: vLLM's shapes, and each way to fail as a client sees it.

import { afterEach, beforeEach, expect, test } from "bun:test";
import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import type { Fault } from "../../playground/simulated/faults.ts";
import type { SimulatedEngine } from "../../playground/simulated-engine.ts";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { vllm } from "../../src/engines/vllm.ts";

let engine: SimulatedEngine;

beforeEach(async () => {
  engine = await startSimulatedEngine({ model: "npc", msPerToken: 2, msPerPromptToken: 0 });
});
afterEach(() => engine.stop());

const messages = [{ role: "user", content: "Who goes there?" }];

const post = (
  body: unknown,
  init: BunFetchRequestInit = {},
  path = "/v1/chat/completions",
): Promise<Response> =>
  fetch(engine.url + path, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...init,
    headers: { "content-type": "application/json", ...init.headers },
  });

const chat = (more: object = {}, init: BunFetchRequestInit = {}): Promise<Response> =>
  post({ model: "npc", messages, max_tokens: 4, ...more }, init);

/** The data of each SSE event. */
const events = (text: string): string[] =>
  text.split("\n\n").flatMap((event) => (event.startsWith("data: ") ? [event.slice(6)] : []));

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await Bun.sleep(1);
}

/** Sends one chat by hand and gives every byte that came, and how the connection ended. */
async function rawChat(more: object = {}): Promise<{ text: string; ending: string }> {
  const body = JSON.stringify({ messages, max_tokens: 4, ...more });
  const socket = connect(engine.port, "127.0.0.1");
  let text = "";
  let ending = "fin";
  socket.setEncoding("latin1");
  socket.on("data", (part) => {
    text += part;
  });
  socket.on("error", (error: NodeJS.ErrnoException) => {
    ending = error.code ?? "error";
  });
  socket.write(
    `POST /v1/chat/completions HTTP/1.1\r\nhost: engine\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  );
  await new Promise((resolve) => socket.on("close", resolve));
  return { text, ending };
}

interface ChatAnswer {
  readonly choices: readonly [
    {
      readonly message: { readonly content: string };
      readonly logprobs: {
        readonly content: readonly { top_logprobs: { token: string; logprob: number }[] }[];
      };
    },
  ];
  readonly usage: { readonly prompt_tokens: number };
}

const chatAnswer = async (more: object = {}): Promise<ChatAnswer> =>
  JSON.parse(await (await chat(more)).text());

test("a chat answer has the members that vLLM gives, nulls included, and counts its tokens", async () => {
  const answer = await chatAnswer();
  expect(Object.keys(answer).join(" ")).toBe(
    "id object created model choices service_tier system_fingerprint usage prompt_logprobs prompt_token_ids prompt_text kv_transfer_params ec_transfer_params metrics",
  );
  expect(Object.keys(answer.choices[0]).join(" ")).toBe(
    "index message logprobs finish_reason stop_reason token_ids routed_experts",
  );
  expect(answer.usage).toMatchObject({ completion_tokens: 4, total_tokens: answer.usage.prompt_tokens + 4 });
});

test("a stream says the role, each token, the usage where asked for, and [DONE]", async () => {
  const text = await (await chat({ stream: true, stream_options: { include_usage: true } })).text();
  const frames = events(text);
  expect(frames).toHaveLength(7);
  expect(JSON.parse(frames[0] ?? "").choices[0].delta).toEqual({ role: "assistant", content: "" });
  expect(JSON.parse(frames[4] ?? "").choices[0].finish_reason).toBe("length");
  expect(JSON.parse(frames[5] ?? "")).toMatchObject({ choices: [], usage: { completion_tokens: 4 } });
  expect(frames[6]).toBe("[DONE]");
});

test("the same prompt gets the same answer, streamed or not", async () => {
  const whole = await chatAnswer();
  const frames = events(await (await chat({ stream: true })).text()).slice(0, -1);
  const streamed = frames.map((frame) => JSON.parse(frame).choices[0].delta.content).join("");
  expect(streamed).toBe(whole.choices[0].message.content);
});

test("one constrained token is one of the choices, with probabilities over them that add up to 1", async () => {
  const body = {
    max_tokens: 1,
    logprobs: true,
    top_logprobs: 5,
    structured_outputs: { choice: ["A", "B", "C"] },
  };
  const { choices } = await chatAnswer(body);
  const top = choices[0].logprobs.content[0]?.top_logprobs ?? [];
  expect(top).toHaveLength(5);
  expect(top[0]?.token).toBe(choices[0].message.content);
  expect(top.slice(0, 3).reduce((sum, one) => sum + Math.exp(one.logprob), 0)).toBeCloseTo(1);
  expect(top[4]?.logprob).toBe(-9999);
});

test.each([
  ["malformed JSON", '{"model":', 400],
  ["an empty body", "", 400],
  ["no messages", '{"model":"npc"}', 400],
  ["an unknown model", '{"model":"nope","messages":[{"role":"user","content":"x"}]}', 404],
  ["max_tokens 0", '{"messages":[{"role":"user","content":"x"}],"max_tokens":0}', 400],
])("%s is refused in vLLM's error shape", async (_, body, status) => {
  const answer = await post(body);
  expect(answer.status).toBe(status);
  expect(await answer.json()).toMatchObject({ error: { message: expect.any(String), code: status } });
});

test("with an API key, /v1 is guarded and health is not", async () => {
  await engine.stop();
  engine = await startSimulatedEngine({ apiKey: "secret", msPerToken: 0 });
  expect((await fetch(`${engine.url}/v1/models`)).status).toBe(401);
  expect(
    (await fetch(`${engine.url}/v1/models`, { headers: { authorization: "Bearer secret" } })).status,
  ).toBe(200);
  expect((await fetch(`${engine.url}/health`)).status).toBe(200);
});

test("the load header comes in the format that was asked for", async () => {
  const answer = await chat({}, { headers: { "endpoint-load-metrics-format": "JSON" } });
  expect(answer.headers.get("endpoint-load-metrics")).toStartWith(
    'JSON {"named_metrics": {"num_requests_waiting": 0.0',
  );
});

test("beyond maxQueued it is busy: 503, as vLLM says it", async () => {
  await engine.stop();
  engine = await startSimulatedEngine({ maxQueued: 1, msPerToken: 5 });
  const running = post({ messages, max_tokens: 8 });
  await until(() => engine.stats().running === 1);
  const refused = await post({ messages });
  expect(refused.status).toBe(503);
  expect(await refused.json()).toMatchObject({ error: { type: "Service Unavailable", code: 503 } });
  expect((await running).status).toBe(200);
});

test("with a prefix cache, the second prompt that begins alike is mostly cached", async () => {
  await engine.stop();
  engine = await startSimulatedEngine({ prefixCache: true, msPerToken: 0 });
  const cached = async (ending: string): Promise<unknown> => {
    const content = `${"A castle guard. ".repeat(40)}${ending}`;
    const answer = await post({ messages: [{ role: "user", content }], max_tokens: 1 });
    return JSON.parse(await answer.text()).usage.prompt_tokens_details.cached_tokens;
  };
  expect(await cached("He sleeps.")).toBe(0);
  expect(await cached("He wakes.")).toBe(160);
});

test("a chunked request body arrives whole", async () => {
  const parts = new ReadableStream<string>({
    async start(controller) {
      controller.enqueue('{"messages":[{"role":"user",');
      await Bun.sleep(1);
      controller.enqueue('"content":"hi"}],"max_tokens":1}');
      controller.close();
    },
  });
  const answer = await fetch(`${engine.url}/v1/chat/completions`, { method: "POST", body: parts });
  expect(answer.status).toBe(200);
  expect(engine.requests()[0]?.headers["transfer-encoding"]).toBe("chunked");
});

test("the vLLM dialect reads its figures", async () => {
  await chat();
  const metrics = await fetch(`${engine.url}/metrics`);
  const gauges = vllm.gauges?.read(metrics.status, await metrics.text());
  expect(gauges).toEqual({ running: 0, waiting: 0, kvUsage: 0, generatedTokens: 4 });
});

test("embeddings are vectors, the same for the same text", async () => {
  const embed = async (input: string): Promise<unknown> =>
    JSON.parse(await (await post({ input }, {}, "/v1/embeddings")).text()).data[0].embedding;
  expect(await embed("guard")).toEqual(await embed("guard"));
  expect(await embed("guard")).not.toEqual(await embed("wolf"));
});

test("a client that leaves aborts its sequence", async () => {
  const controller = new AbortController();
  const answer = await chat(
    { max_tokens: 4000, ignore_eos: true, stream: true },
    { signal: controller.signal },
  );
  await answer.body?.getReader().read();
  expect(engine.stats().running).toBe(1);
  controller.abort();
  await until(() => engine.stats().running === 0);
  expect(engine.stats()).toMatchObject({ aborted: 1, finished: 0 });
});

test("a request is recorded with its headers and its body as it came", async () => {
  const body = '{"messages":[{"role":"user","content":"ä"}],  "max_tokens":1,"priority":-2}';
  await post(body, { headers: { "x-request-id": "abc" } });
  expect(engine.requests()).toMatchObject([
    {
      method: "POST",
      path: "/v1/chat/completions",
      body,
      headers: { "x-request-id": "abc" },
      outcome: "finished",
    },
  ]);
});

test("hang: inference falls silent, health answers, gauges read idle, and clearing lets it all go on", async () => {
  engine.fault({ kind: "hang" });
  const answer = chat();
  await until(() => engine.stats().started === 1);
  expect((await fetch(`${engine.url}/health`)).status).toBe(200);
  expect(await (await fetch(`${engine.url}/metrics`)).text()).toContain(
    'num_requests_running{engine="0",model_name="npc"} 0.0',
  );
  expect(await Promise.race([answer, Bun.sleep(30)])).toBeUndefined();
  engine.clear();
  expect((await answer).status).toBe(200);
});

test("hang freezes a stream that was running", async () => {
  const answer = await chat({ stream: true, max_tokens: 30, ignore_eos: true });
  await until(() => engine.stats().generatedTokens > 0);
  engine.fault({ kind: "hang" });
  const frozenAt = engine.stats().generatedTokens;
  await Bun.sleep(20);
  expect(engine.stats().generatedTokens).toBe(frozenAt);
  engine.clear();
  expect(await answer.text()).toEndWith("data: [DONE]\n\n");
});

test("refuse: nobody listens, until the fault is cleared and the same port answers", async () => {
  engine.fault({ kind: "refuse" });
  expect((await rawChat()).ending).toBe("ECONNREFUSED");
  engine.clear();
  expect((await chat()).status).toBe(200);
});

test.each<[string, Fault, object, string, RegExp]>([
  ["reset on connect", { kind: "reset", when: "connect" }, {}, "ECONNRESET", /^$/],
  ["reset before the first byte", { kind: "reset" }, {}, "ECONNRESET", /^$/],
  [
    "reset after the head",
    { kind: "reset", when: "head" },
    { stream: true },
    "ECONNRESET",
    /^HTTP\/1.1 200.*\r\n\r\n$/s,
  ],
  ["reset in the body", { kind: "reset", when: "body", bytes: 50 }, {}, "ECONNRESET", /\r\n\r\n.{50}$/],
  ["a chunked body cut", { kind: "truncate" }, { stream: true }, "fin", /chunked\r\n\r\n(?!.*\[DONE\])/s],
  ["a body short of its length", { kind: "truncate", how: "length" }, {}, "fin", /content-length: \d{3}/],
  ["no last chunk", { kind: "truncate", how: "last-chunk" }, { stream: true }, "fin", /\[DONE\]\n\n\r\n$/],
  ["no last line", { kind: "truncate", how: "last-line" }, { stream: true }, "fin", /\[DONE\]\n\n\r\n0\r\n$/],
  ["garbage", { kind: "garbage" }, {}, "fin", /^(?!HTTP)./s],
])("fault %s: exactly these bytes, and this end", async (_, fault, more, ending, bytes) => {
  engine.fault(fault);
  const got = await rawChat(more);
  expect(got.ending).toBe(ending);
  expect(got.text).toMatch(bytes);
});

test("fault status: at once, with its retry-after", async () => {
  engine.fault({ kind: "status", status: 429, retryAfterSeconds: 2 });
  const answer = await chat();
  expect(answer.status).toBe(429);
  expect(answer.headers.get("retry-after")).toBe("2");
});

test("fault error-event: some tokens, the error, then [DONE]", async () => {
  engine.fault({ kind: "error-event", afterTokens: 2 });
  const frames = events(await (await chat({ stream: true })).text());
  expect(frames).toHaveLength(5);
  expect(JSON.parse(frames[3] ?? "")).toMatchObject({ error: { code: 500 } });
  expect(frames[4]).toBe("[DONE]");
});

test("fault gzip-bomb: a small body that would unpack to a thousand times its size", async () => {
  engine.fault({ kind: "gzip-bomb", megabytes: 4 });
  const answer = await chat({}, { decompress: false });
  expect(answer.headers.get("content-encoding")).toBe("gzip");
  expect((await answer.bytes()).length).toBeLessThan(8192);
});

test("fault slow-first-byte delays a whole stream and keeps its order", async () => {
  engine.fault({ kind: "slow-first-byte", delayMs: 60 });
  const from = performance.now();
  const frames = events(await (await chat({ stream: true })).text());
  expect(performance.now() - from).toBeGreaterThanOrEqual(59);
  expect(frames).toHaveLength(6);
  expect(frames[5]).toBe("[DONE]");
});

test("fault slow-chunks keeps the pieces apart", async () => {
  engine.fault({ kind: "slow-chunks", delayMs: 20 });
  const from = performance.now();
  await (await chat({ stream: true })).text();
  expect(performance.now() - from).toBeGreaterThanOrEqual(5 * 19);
});

test("fault close-on-reuse: the second request on a connection gets no byte", async () => {
  engine.fault({ kind: "close-on-reuse" });
  const socket = connect(engine.port, "127.0.0.1");
  const ask = "POST /v1/chat/completions HTTP/1.1\r\nhost: engine\r\ncontent-length: 2\r\n\r\n{}";
  socket.write(ask);
  await once(socket, "data");
  socket.on("data", () => expect.unreachable());
  socket.write(ask);
  await once(socket, "close");
  expect(engine.stats()).toMatchObject({ finished: 1, cut: 1 });
});

test("a fault limited to one time and one path strikes once, there", async () => {
  engine.fault({ kind: "status", status: 500, times: 1, path: "/v1/models" });
  expect((await chat()).status).toBe(200);
  expect((await fetch(`${engine.url}/v1/models`)).status).toBe(500);
  expect((await fetch(`${engine.url}/v1/models`)).status).toBe(200);
});

test("a fault with a probability strikes about that often", async () => {
  engine.fault({ kind: "status", status: 500, probability: 0.3, path: "/health" });
  const answers = await Promise.all(Array.from({ length: 200 }, () => fetch(`${engine.url}/health`)));
  const failed = answers.filter((answer) => answer.status === 500).length;
  expect(failed).toBeGreaterThan(30);
  expect(failed).toBeLessThan(90);
});

test("the control listener breaks and mends, and answers while everything else hangs", async () => {
  const control = `${engine.controlUrl}/control`;
  const set = await fetch(control, { method: "POST", body: '{"fault":{"kind":"hang","path":"*"}}' });
  expect(await set.json()).toEqual({ faults: [{ kind: "hang", path: "*" }] });
  const health = fetch(`${engine.url}/health`);
  await until(() => engine.stats().started === 1);
  expect(await (await fetch(`${control}/stats`)).json()).toMatchObject({ started: 1, finished: 0 });
  expect((await fetch(control, { method: "POST", body: '{"fault":{"kind":"nonsense"}}' })).status).toBe(400);
  await fetch(control, { method: "DELETE" });
  expect((await health).status).toBe(200);
});

test("the control listener swaps the model: the old name is unknown from then on, as vLLM says it", async () => {
  const swap = (body: string) => fetch(`${engine.controlUrl}/control/model`, { method: "POST", body });
  expect((await swap('{"model":""}')).status).toBe(400);
  const before = engine.model;
  expect(await (await swap('{"model":"next"}')).json()).toEqual({ model: "next" });
  expect(engine.model).toBe("next");
  expect(await (await fetch(`${engine.url}/v1/models`)).json()).toMatchObject({ data: [{ id: "next" }] });
  expect((await chat({ model: before })).status).toBe(404);
  expect(await (await chat({ model: "next", max_tokens: 1 })).json()).toMatchObject({ model: "next" });
});

test("keepAliveMs closes a connection that idles", async () => {
  await engine.stop();
  engine = await startSimulatedEngine({ keepAliveMs: 20, msPerToken: 0 });
  await chat();
  await until(() => engine.stats().connections === 0);
});

test("run as a script, it says where it listens in one line", async () => {
  const script = join(import.meta.dir, "../../playground/simulated-engine.ts");
  await using child = Bun.spawn([process.execPath, script, "--model", "m", "--ms-per-token", "0"], {
    stdout: "pipe",
  });
  const reader = child.stdout.getReader();
  const line = JSON.parse(new TextDecoder().decode((await reader.read()).value));
  expect(line).toMatchObject({ msg: "ready", model: "m" });
  expect((await fetch(`${line.url}/health`)).status).toBe(200);
  expect((await fetch(`${line.control}/control/stats`)).status).toBe(200);
});
