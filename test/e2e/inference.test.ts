// The inference endpoints of the compiled binary, between simulated engines.

import { describe, expect, test } from "bun:test";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { chat, messages } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { openAiErrorOf } from "../support/openai-error.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

async function goldAndSilver() {
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
  const silver = ends(await startSimulatedEngine({ model: "large", msPerToken: 2 }));
  const config = `${engineToml("gold", gold.url)}${engineToml("silver", silver.url)}
[aliases]
"storyteller" = { tier = "silver", model = "large" }
"npc-fast" = { tier = "gold" }
`;
  const router = ends(await startTierline({ config }));
  return { gold, silver, router };
}

describe("a request that names a model", () => {
  test("reaches the engine with the caller's own bytes, and the engine's own bytes come back", async () => {
    const { silver, router } = await goldAndSilver();
    const body = `{"x_unknown": {"model": "not this"},  "model":"large",\n"messages":[{"role":"user","content":"h\\u00e9"}],"max_tokens":3,"seed":1}`;
    const direct = await (await chat(silver.url, body)).text();
    const response = await chat(router.url, body);
    expect(response.status).toBe(200);
    expect(response.headers.get("x-tierline-tier")).toBe("silver");
    expect(silver.requests().at(-1)?.body).toBe(body);
    const anonymous = (text: string) => text.replace(/"id":"[^"]*"/, "").replace(/"created":\d+/, "");
    expect(anonymous(await response.text())).toBe(anonymous(direct));
  });

  test("is answered 404 with what is served, where nobody serves it", async () => {
    const { router } = await goldAndSilver();
    const response = await chat(router.url, { model: "nonsense", messages });
    expect(response.status).toBe(404);
    const error = await openAiErrorOf(response);
    expect(error.code).toBe("model_not_found");
    for (const name of ["small", "large", "storyteller", "gold"]) expect(error.message).toContain(name);
  });
});

describe("tiers, aliases and SLA classes", () => {
  test.each([
    ["gold", {}, "gold", "small"],
    ["realtime", {}, "gold", "small"],
    ["silver", {}, "silver", "large"],
    ["interactive", {}, "silver", "large"],
    ["npc-fast", {}, "gold", "small"],
    ["storyteller", {}, "silver", "large"],
    [undefined, {}, "silver", "large"],
    [undefined, { "x-tierline-sla": "realtime" }, "gold", "small"],
    ["silver", { "x-tierline-sla": "realtime" }, "silver", "large"],
  ])("model %p with headers %p goes to %s and asks for %s", async (model, headers, tier, asked) => {
    const { gold, silver, router } = await goldAndSilver();
    const response = await chat(router.url, { model, messages, max_tokens: 1 }, { headers });
    expect(response.status).toBe(200);
    expect(response.headers.get("x-tierline-tier")).toBe(tier);
    expect(response.headers.get("x-tierline-because")).toBe("local-first");
    const engine = tier === "gold" ? gold : silver;
    const seen: unknown = JSON.parse(engine.requests().at(-1)?.body ?? "{}");
    expect(seen).toMatchObject({ model: asked, messages, max_tokens: 1 });
  });

  test("async is refused with 503 no_endpoint as long as there is no Bronze", async () => {
    const { router } = await goldAndSilver();
    for (const response of [
      await chat(router.url, { model: "bronze", messages }),
      await chat(router.url, { messages }, { headers: { "x-tierline-sla": "async" } }),
    ]) {
      expect(response.status).toBe(503);
      expect((await openAiErrorOf(response)).code).toBe("no_endpoint");
      expect(response.headers.get("x-should-retry")).toBe("true");
      expect(Number(response.headers.get("retry-after-ms"))).toBeGreaterThan(0);
    }
  });
});

describe("an answer", () => {
  test("says where it came from and why, and how long each part took", async () => {
    const { router } = await goldAndSilver();
    const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const response = await chat(
      router.url,
      { model: "gold", messages, max_tokens: 1 },
      { headers: { "x-request-id": "player-7", traceparent: trace } },
    );
    const headers = Object.fromEntries(response.headers);
    expect(headers).toMatchObject({
      "x-tierline-tier": "gold",
      "x-tierline-locality": "local",
      "x-tierline-endpoint": "gold-1/vllm",
      "x-tierline-because": "local-first",
      "x-tierline-attempts": "1",
      "x-tierline-cache": "off",
      "x-request-id": "player-7",
      traceparent: trace,
    });
    expect(headers["server-timing"]).toMatch(
      /^route;dur=[\d.]+, queue;dur=[\d.]+, engine;dur=[\d.]+, total;dur=[\d.]+$/,
    );
  });

  test("the engine sees the trace with a new span, the request id, and no secret of the caller", async () => {
    const { gold, router } = await goldAndSilver();
    await chat(
      router.url,
      { model: "gold", messages, max_tokens: 1 },
      {
        headers: {
          "x-request-id": "player-7",
          traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
          authorization: "Bearer secret",
          cookie: "a=b",
          "x-tierline-sla": "realtime",
          "x-custom": "kept",
          connection: "x-dropped",
          "x-dropped": "1",
        },
      },
    );
    const seen = gold.requests().at(-1)?.headers ?? {};
    expect(seen["traceparent"]).toMatch(
      /^00-4bf92f3577b34da6a3ce929d0e0e4736-(?!00f067aa0ba902b7)[0-9a-f]{16}-01$/,
    );
    expect(seen["x-request-id"]).toBe("player-7");
    expect(seen["x-custom"]).toBe("kept");
    for (const name of ["authorization", "cookie", "x-tierline-sla"]) expect(seen[name]).toBeUndefined();
  });

  test("streams byte for byte, ending with [DONE]", async () => {
    const { router } = await goldAndSilver();
    const response = await chat(router.url, {
      model: "silver",
      messages,
      stream: true,
      max_tokens: 5,
      stream_options: { include_usage: true },
    });
    expect(response.headers.get("content-type")).toStartWith("text/event-stream");
    expect(response.headers.get("x-tierline-tier")).toBe("silver");
    const text = await response.text();
    expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
    expect(text.match(/^data: /gm)?.length).toBeGreaterThan(5);
    expect(await router.metric("tierline_tokens_total", { tier: "silver", direction: "completion" })).toBe(5);
  });

  test("the engine's own 4xx passes byte for byte and opens no breaker", async () => {
    const { silver, router } = await goldAndSilver();
    const bad = { model: "large", messages: "none" };
    const direct = await chat(silver.url, bad);
    const directText = await direct.text();
    for (let time = 0; time < 30; time += 1) {
      const response = await chat(router.url, bad);
      expect(response.status).toBe(direct.status);
      expect(await response.text()).toBe(directText);
    }
    expect(await router.metric("tierline_breaker_state", { endpoint: "gold-1/vllm-2" })).toBe(0);
    expect((await chat(router.url, { model: "large", messages, max_tokens: 1 })).status).toBe(200);
  });

  test("completions and embeddings go the same way", async () => {
    const { router } = await goldAndSilver();
    const post = (path: string, body: unknown) =>
      fetch(router.url + path, { method: "POST", body: JSON.stringify(body) });
    const completion = await post("/v1/completions", { model: "gold", prompt: "Once", max_tokens: 2 });
    expect(completion.status).toBe(200);
    expect(await completion.json()).toMatchObject({ object: "text_completion", model: "small" });
    const embeddings = await post("/v1/embeddings", { model: "gold", input: "Once" });
    expect(embeddings.status).toBe(200);
    expect(await embeddings.json()).toMatchObject({ object: "list" });
  });
});

describe("what cannot be read", () => {
  test.each([
    ["malformed JSON", "{", {}, 400, "invalid_request"],
    ["an array", "[]", {}, 400, "invalid_request"],
    ["an empty body", "", {}, 400, "invalid_request"],
    ["a model that is no string", '{"model":5}', {}, 400, "invalid_request"],
    ["invalid UTF-8", Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]), {}, 400, "invalid_request"],
    ["deadline 0", "{}", { "x-tierline-deadline-ms": "0" }, 400, "invalid_request"],
    ["deadline -5", "{}", { "x-tierline-deadline-ms": "-5" }, 400, "invalid_request"],
    ["deadline 1e3", "{}", { "x-tierline-deadline-ms": "1e3" }, 400, "invalid_request"],
    ["deadline Infinity", "{}", { "x-tierline-deadline-ms": "Infinity" }, 400, "invalid_request"],
    ["an unknown SLA class", "{}", { "x-tierline-sla": "asap" }, 400, "invalid_request"],
    ["a body over the limit", JSON.stringify({ text: "x".repeat(4_000_001) }), {}, 413, "request_too_large"],
  ])("%s is refused with a reason", async (_, body, headers, status, code) => {
    const router = ends(await startTierline());
    const response = await fetch(`${router.url}/v1/chat/completions`, { method: "POST", body, headers });
    expect(response.status).toBe(status);
    const error = await openAiErrorOf(response);
    expect(error.code).toBe(code);
    expect(error.message.length).toBeGreaterThan(10);
  });

  test("other paths are 404, other methods 405 with Allow, in OpenAI's shape", async () => {
    const router = ends(await startTierline());
    const missing = await fetch(`${router.url}/v1/nothing`);
    expect(missing.status).toBe(404);
    expect((await openAiErrorOf(missing)).code).toBe("not_found");
    const wrong = await fetch(`${router.url}/v1/chat/completions`);
    expect(wrong.status).toBe(405);
    expect(wrong.headers.get("allow")).toBe("POST");
    expect((await openAiErrorOf(wrong)).code).toBe("method_not_allowed");
  });
});

describe("models", () => {
  test("lists engines' models, aliases and tiers, each with its tier, and one by name", async () => {
    const { router } = await goldAndSilver();
    const list: unknown = await (await fetch(`${router.url}/v1/models`)).json();
    expect(list).toMatchObject({ object: "list" });
    const data =
      typeof list === "object" && list !== null && "data" in list && Array.isArray(list.data)
        ? list.data
        : [];
    const byId = Object.fromEntries(data.map((card) => [card.id, card.tier]));
    expect(byId).toEqual({
      small: "gold",
      large: "silver",
      storyteller: "silver",
      "npc-fast": "gold",
      gold: "gold",
      silver: "silver",
    });
    expect(await (await fetch(`${router.url}/v1/models/large`)).json()).toMatchObject({
      id: "large",
      object: "model",
    });
    const missing = await fetch(`${router.url}/v1/models/org/none`);
    expect(missing.status).toBe(404);
    expect((await openAiErrorOf(missing)).code).toBe("model_not_found");
  });
});
