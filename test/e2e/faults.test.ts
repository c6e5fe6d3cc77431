// Engines that fail in every way known, behind the compiled binary: what the caller sees of it.

import { describe, expect, test } from "bun:test";
import type { Fault } from "../../playground/simulated/faults.ts";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { chat, messages, readAll, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { longRun } from "../support/failures.ts";
import { measured } from "../support/measured.ts";
import { openAiErrorOf, readOpenAiError } from "../support/openai-error.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

async function goldAndSilver(config = "", msPerToken = 1) {
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken }));
  const silver = ends(await startSimulatedEngine({ model: "large", msPerToken: 1 }));
  const engines = engineToml("gold", gold.url) + engineToml("silver", silver.url);
  return { gold, silver, router: ends(await startTierline({ config: engines + config })) };
}

async function goldAlone(config = "", engine = "") {
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
  return {
    gold,
    router: ends(await startTierline({ config: engineToml("gold", gold.url, engine) + config })),
  };
}

const ask = { model: "gold", messages, max_tokens: 4 };
const patient = { headers: { "x-tierline-deadline-ms": "20000" } };

/** Before the first byte, so another engine can take over. */
const early: [string, Fault, string][] = [
  ["refuses connections", { kind: "refuse" }, "refused"],
  ["resets before the head", { kind: "reset", when: "request" }, "reset"],
  ["answers 500", { kind: "status", status: 500 }, "server-error"],
  ["answers 503 at once", { kind: "status", status: 503 }, "busy"],
  ["answers 429 with retry-after", { kind: "status", status: 429, retryAfterSeconds: 1 }, "busy"],
  ["answers garbage", { kind: "garbage" }, "garbage"],
  ["sends a head without end", { kind: "huge-head" }, "garbage"],
];

describe("an engine that fails before its first byte is left for the next rung", () => {
  for (const stream of [false, true]) {
    test.each(early)(`it %s (stream: ${stream})`, async (_, fault, outcome) => {
      const { gold, router } = await goldAndSilver();
      gold.fault(fault);
      const response = await chat(router.url, { ...ask, stream });
      const { text, clean } = await readAll(response);
      expect(response.status).toBe(200);
      expect(clean).toBe(true);
      expect(stream ? text.endsWith("data: [DONE]\n\n") : JSON.parse(text).object).toBeTruthy();
      expect(response.headers.get("x-tierline-because")).toBe("fallback-from-gold");
      expect(response.headers.get("x-tierline-attempts")).toBe("2");
      expect(await router.metric("tierline_attempts_total", { endpoint: "gold-1/vllm", outcome })).toBe(1);
      await router.logged((line) => line["because"] === "fallback-from-gold" && Array.isArray(line["tried"]));
    });
  }

  test.each(["length", "chunk"] as const)(
    "a whole answer that is cut (%s) is asked for again",
    async (how) => {
      const { gold, router } = await goldAndSilver();
      gold.fault({ kind: "truncate", how, bytes: 40 });
      const response = await chat(router.url, ask);
      expect(response.status).toBe(200);
      expect(await response.json()).toMatchObject({ model: "large" });
    },
  );

  test("a stream that begins with an error event is asked for again", async () => {
    const { gold, router } = await goldAndSilver();
    gold.fault({ kind: "error-event", afterTokens: 0 });
    const response = await chat(router.url, { ...ask, stream: true });
    const { text } = await readAll(response);
    // Whether the role delta came first decides if anything had been sent; neither may look like a success.
    if (response.headers.get("x-tierline-tier") === "silver") expect(text).toEndWith("data: [DONE]\n\n");
    else expect(text).not.toContain("[DONE]");
  });

  test("a stream whose first byte is late is left at first_byte_ms", async () => {
    const { gold, router } = await goldAndSilver("[sla.realtime]\nfirst_byte_ms = 150\n");
    gold.fault({ kind: "slow-first-byte", delayMs: 1500 });
    const began = performance.now();
    const response = await chat(router.url, { ...ask, stream: true });
    await readAll(response);
    expect(response.headers.get("x-tierline-tier")).toBe("silver");
    expect(performance.now() - began).toBeLessThan(1200);
  });
});

describe("an engine that fails after its first byte", () => {
  test.each([
    ["is cut in a chunk", { kind: "truncate", how: "chunk", bytes: 900 }],
    ["ends without its last chunk", { kind: "truncate", how: "last-chunk" }],
    ["is reset", { kind: "reset", when: "body", bytes: 900 }],
  ] as [string, Fault][])(
    "a stream that %s ends with an error event, no [DONE] and no clean end, and is never repeated (fault 2)",
    async (how, fault) => {
      const { gold, silver, router } = await goldAndSilver("", 15);
      gold.fault(fault);
      const response = await chat(router.url, { ...ask, stream: true, max_tokens: 20 });
      expect(response.status).toBe(200);
      const { text, clean } = await readAll(response);
      expect(clean).toBe(false);
      const events = text.split("\n\n").filter((event) => event !== "");
      expect(readOpenAiError(events.at(-1)?.replace("data: ", "") ?? "").code).toBe("upstream_failed");
      // A cut terminator may still have let the engine's own [DONE] pass before it.
      if (fault.kind === "reset") expect(text).not.toContain("[DONE]");
      expect(silver.stats().started).toBe(
        silver.stats().paths["/v1/models"] === undefined ? 0 : silver.stats().started,
      );
      expect(silver.requests().filter(({ method }) => method === "POST")).toEqual([]);
      measured(2, `a stream that ${how}: told in band, not whole, not repeated`);
    },
  );

  test("an error event in the stream is relayed, and nothing after it, no [DONE] and no clean end", async () => {
    const { gold, router } = await goldAndSilver("", 15);
    gold.fault({ kind: "error-event", afterTokens: 3 });
    const { text, clean } = await readAll(await chat(router.url, { ...ask, stream: true, max_tokens: 20 }));
    expect(clean).toBe(false);
    expect(text).not.toContain("[DONE]");
    const errors = text.split("\n\n").filter((event) => event.startsWith('data: {"error"'));
    expect(errors).toHaveLength(1);
    expect(text).toEndWith(`${errors[0]}\n\n`);
  });
});

describe("refusals are honest", () => {
  test("one engine that resets: 502 upstream_failed, not to be repeated", async () => {
    const { gold, router } = await goldAlone();
    gold.fault({ kind: "reset", when: "request" });
    const response = await chat(router.url, ask);
    expect(response.status).toBe(502);
    expect(response.headers.get("x-should-retry")).toBe("false");
    expect((await openAiErrorOf(response)).code).toBe("upstream_failed");
  });

  test("one engine that says 503: 429 tier_overloaded with its own retry-after", async () => {
    const { gold, router } = await goldAlone();
    gold.fault({ kind: "status", status: 503, retryAfterSeconds: 7 });
    const response = await chat(router.url, ask);
    expect(response.status).toBe(429);
    expect((await openAiErrorOf(response)).code).toBe("tier_overloaded");
    expect(response.headers.get("retry-after-ms")).toBe("7000");
    expect(response.headers.get("retry-after")).toBe("7");
    expect(response.headers.get("x-should-retry")).toBe("true");
    expect(await router.metric("tierline_breaker_state", { endpoint: "gold-1/vllm" })).toBe(0);
  });

  test.each([false, true])("every engine hangs: 504 by the deadline + 50 ms (stream: %p)", async (stream) => {
    const { gold, router } = await goldAlone();
    gold.fault({ kind: "hang" });
    for (const deadline of [400, 300]) {
      const began = performance.now();
      const response = await chat(
        router.url,
        { ...ask, stream },
        { headers: { "x-tierline-deadline-ms": String(deadline) } },
      );
      const took = performance.now() - began;
      expect(response.status).toBe(504);
      expect((await openAiErrorOf(response)).code).toBe("deadline_exceeded");
      expect(response.headers.get("x-should-retry")).toBe("false");
      expect(took).toBeGreaterThan(deadline * 0.5);
      // 50 ms are the promise; the rest is this machine's.
      expect(took).toBeLessThan(deadline + 150);
    }
  });

  test("pool and queue full: 429 at once, /health degraded, and the queue serves by deadline", async () => {
    const { gold, router } = await goldAlone("", "max_concurrent = 2\nmax_queue = 2");
    gold.fault({ kind: "slow-first-byte", delayMs: 400 });
    const held = [chat(router.url, ask), chat(router.url, ask)];
    await until("both slots are taken", async () => (await router.metric("tierline_inflight")) === 2);
    const health = await fetch(`${router.url}/health`);
    expect(health.status).toBe(503);
    expect(await health.json()).toMatchObject({
      status: "degraded",
      pool: { used: 2, limit: 2, utilization: 1 },
    });
    const order: string[] = [];
    const queued = ["1900", "1500"].map(async (deadline) => {
      const response = await chat(router.url, ask, { headers: { "x-tierline-deadline-ms": deadline } });
      order.push(deadline);
      return response;
    });
    await until("both wait", async () => (await router.metric("tierline_queue_depth")) === 2);
    const began = performance.now();
    const shed = await chat(router.url, ask);
    expect(performance.now() - began).toBeLessThan(200);
    expect(shed.status).toBe(429);
    expect((await openAiErrorOf(shed)).code).toBe("tier_overloaded");
    expect(Number(shed.headers.get("retry-after-ms"))).toBeGreaterThan(0);
    for (const response of [...(await Promise.all(held)), ...(await Promise.all(queued))])
      expect(response.status).toBe(200);
    expect(order).toEqual(["1500", "1900"]);
    expect(await router.metric("tierline_shed_total", { because: "queue-full" })).toBe(1);
  });
});

describe("connections", () => {
  test("kept-alive connections that close on reuse cost no request: 0 of 10,000, of 100,000 in the long run (fault 10)", async () => {
    const { gold, router } = await goldAlone();
    gold.fault({ kind: "close-on-reuse", probability: 0.5 });
    const requests = longRun ? 100_000 : 10_000;
    const callers = 16;
    let bad = 0;
    const worker = async (): Promise<void> => {
      for (let turn = 0; turn < requests / callers; turn += 1) {
        const response = await chat(router.url, { ...ask, max_tokens: 1 });
        if (response.status !== 200) bad += 1;
        await response.arrayBuffer();
      }
    };
    await Promise.all(Array.from({ length: callers }, worker));
    expect(bad).toBe(0);
    const { faultsStruck } = gold.stats();
    expect(faultsStruck).toBeGreaterThan(requests / 10);
    measured(
      10,
      `${bad} of ${requests} requests failed, while ${faultsStruck} connections were closed as they were used again`,
    );
  }, 600_000);

  test.each([false, true])(
    "a caller who leaves frees the engine within 100 ms (stream: %p)",
    async (stream) => {
      const { gold, router } = await goldAlone();
      const leaving = new AbortController();
      const asked = chat(router.url, { ...ask, stream, max_tokens: 5000 }, { signal: leaving.signal }).catch(
        () => undefined,
      );
      if (stream) await asked;
      await until("the engine works", () => gold.stats().running === 1);
      const began = performance.now();
      leaving.abort();
      await until("the engine is free", () => gold.stats().running === 0 && gold.stats().aborted === 1);
      expect(performance.now() - began).toBeLessThan(100);
      await until("the slot is free", async () => (await router.metric("tierline_inflight")) === 0);
      expect(await router.metric("tierline_breaker_state")).toBe(0);
    },
  );

  test("a gzip bomb passes as it is, and costs the router no memory", async () => {
    const { gold, router } = await goldAlone();
    gold.fault({ kind: "gzip-bomb", megabytes: 64 });
    const response = await fetch(`${router.url}/v1/chat/completions`, {
      method: "POST",
      body: JSON.stringify(ask),
      decompress: false,
    });
    const bytes = (await response.arrayBuffer()).byteLength;
    expect(response.headers.get("content-encoding")).toBe("gzip");
    expect(bytes).toBeLessThan(1_000_000);
    expect(await router.metric("process_resident_memory_bytes")).toBeLessThan(200e6);
  });
});

test("slow chunks are neither cut nor repeated", async () => {
  const { gold, silver, router } = await goldAndSilver();
  gold.fault({ kind: "slow-chunks", delayMs: 300 });
  const { text, clean } = await readAll(await chat(router.url, { ...ask, stream: true }, patient));
  expect(clean).toBe(true);
  expect(text).toEndWith("data: [DONE]\n\n");
  expect(silver.requests().filter(({ method }) => method === "POST")).toEqual([]);
}, 20_000);

test("500s open the breaker, and a healed engine is used again within 2 s", async () => {
  const { gold, router } = await goldAndSilver();
  gold.fault({ kind: "status", status: 500 });
  for (let turn = 0; turn < 8; turn += 1) await (await chat(router.url, ask)).arrayBuffer();
  expect(await router.metric("tierline_breaker_state", { endpoint: "gold-1/vllm" })).toBeGreaterThan(0);
  gold.clear();
  const healed = performance.now();
  await until("gold answers again", async () => {
    const response = await chat(router.url, ask);
    await response.arrayBuffer();
    return response.headers.get("x-tierline-tier") === "gold";
  });
  expect(performance.now() - healed).toBeLessThan(2000);
});

test("a long answer on a healthy engine is neither cut nor repeated, however quiet", async () => {
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 30 }));
  const silver = ends(await startSimulatedEngine({ model: "large" }));
  const router = ends(
    await startTierline({ config: engineToml("gold", gold.url) + engineToml("silver", silver.url) }),
  );
  const response = await chat(router.url, { ...ask, max_tokens: 100 }, patient);
  expect(response.status).toBe(200);
  expect(response.headers.get("x-tierline-attempts")).toBe("1");
  expect(response.headers.get("x-tierline-tier")).toBe("gold");
  expect(silver.requests().filter(({ method }) => method === "POST")).toEqual([]);
}, 20_000);
