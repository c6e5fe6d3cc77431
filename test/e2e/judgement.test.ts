// Whom the binary trusts, in the cases in which judging by one sign alone goes wrong.

import { expect, test } from "bun:test";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { chat, messages, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { openAiErrorOf } from "../support/openai-error.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();
const ask = { model: "gold", messages, max_tokens: 4 };

async function statusOf(url: string, body: unknown): Promise<number> {
  const response = await chat(url, body);
  await response.arrayBuffer();
  return response.status;
}

async function statuses(url: string, count: number, everyMs: number, body: unknown = ask): Promise<number[]> {
  const asked: Promise<number>[] = [];
  for (let sent = 0; sent < count; sent += 1) {
    asked.push(statusOf(url, body));
    await Bun.sleep(everyMs);
  }
  return Promise.all(asked);
}

test("an engine that answers one token and fails at everything real is left to its breaker, and nobody notices", async () => {
  const poisoned = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      if (request.method === "GET") return Response.json({ object: "list", data: [{ id: "small" }] });
      const text = await request.text();
      return text.includes('"max_tokens":1,')
        ? Response.json({ choices: [] })
        : Response.json({ error: { message: "CUDA error" } }, { status: 500 });
    },
  });
  ends({ stop: () => poisoned.stop(true) });
  const silver = ends(await startSimulatedEngine({ model: "large", msPerToken: 1 }));
  const url = `http://127.0.0.1:${poisoned.port}`;
  const router = ends(
    await startTierline({ config: engineToml("gold", url) + engineToml("silver", silver.url) }),
  );
  const seen = await statuses(router.url, 150, 20);
  expect(seen.filter((status) => status !== 200)).toEqual([]);
  expect(await router.metric("tierline_attempts_total", { outcome: "server-error" })).toBeLessThan(15);
}, 20_000);

test("two small engines without a token counter, full of slow whole answers, are not called silent", async () => {
  const engines = [
    ends(await startSimulatedEngine({ model: "small", msPerToken: 15, maxNumSeqs: 2 })),
    ends(await startSimulatedEngine({ model: "small", msPerToken: 15, maxNumSeqs: 2 })),
  ];
  const toml = engines.map(({ url }) => engineToml("gold", url, "max_concurrent = 2", "openai")).join("");
  const router = ends(await startTierline({ config: toml }));
  // Fast streams first, so that streams and whole answers differ by far.
  for (let turn = 0; turn < 10; turn += 1) {
    await (await chat(router.url, { ...ask, stream: true, max_tokens: 1 })).arrayBuffer();
  }
  const patient = { headers: { "x-tierline-deadline-ms": "20000" } };
  const answers = await Promise.all(
    Array.from({ length: 16 }, () => chat(router.url, { ...ask, max_tokens: 50, ignore_eos: true }, patient)),
  );
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  expect(router.log.filter(({ msg }) => msg === "endpoint is silent")).toEqual([]);
}, 40_000);

test("of forty who wait at a hung engine only as many leave as find a place; the others wait for it to heal", async () => {
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
  const silver = ends(await startSimulatedEngine({ model: "large", msPerToken: 100 }));
  const config =
    engineToml("gold", gold.url) + engineToml("silver", silver.url, "max_concurrent = 2\nmax_queue = 2");
  const router = ends(await startTierline({ config }));
  await statuses(router.url, 10, 1);
  gold.fault({ kind: "hang" });
  const patient = { headers: { "x-tierline-deadline-ms": "10000" } };
  const waiting = Array.from({ length: 40 }, () => chat(router.url, ask, patient));
  await router.logged(({ msg }) => msg === "endpoint is silent");
  await Bun.sleep(1000);
  gold.clear();
  const answers = await Promise.all(waiting);
  expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
}, 20_000);

test("a silent engine that is given a new address by a reload is used there", async () => {
  const hung = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
  const fresh = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
  const router = ends(await startTierline({ config: engineToml("gold", hung.url) }));
  await statuses(router.url, 10, 1);
  hung.fault({ kind: "hang" });
  const impatient = { headers: { "x-tierline-deadline-ms": "600" } };
  await Promise.all([
    chat(router.url, ask, impatient),
    router.logged(({ msg }) => msg === "endpoint is silent"),
  ]);
  await router.reload(engineToml("gold", fresh.url));
  await until(
    "the new engine is known",
    async () => (await router.metric("tierline_endpoint_available")) === 1,
  );
  expect(await statuses(router.url, 10, 5)).toEqual(Array(10).fill(200));
  expect(fresh.stats().finished).toBeGreaterThanOrEqual(10);
});

test("an engine whose health check hangs while it answers requests goes on being used", async () => {
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
  const router = ends(await startTierline({ config: engineToml("gold", gold.url) }));
  // With a count it is the path alone that hangs, not the engine.
  gold.fault({ kind: "hang", path: "/health", times: 1000 });
  // Beyond two checks of two seconds each.
  expect((await statuses(router.url, 60, 100)).filter((status) => status !== 200)).toEqual([]);
}, 20_000);

test("a half-sent body is answered at the caller's own deadline", async () => {
  const router = ends(await startTierline());
  const body = new ReadableStream({
    start(controller) {
      controller.enqueue(Buffer.from('{"model":'));
    },
  });
  const began = performance.now();
  const response = await fetch(`${router.url}/v1/chat/completions`, {
    method: "POST",
    body,
    headers: { "x-tierline-deadline-ms": "300" },
  });
  expect(response.status).toBe(504);
  expect((await openAiErrorOf(response)).code).toBe("deadline_exceeded");
  expect(performance.now() - began).toBeLessThan(1000);
});

test("every answer has a request id, refusals by path, method and key too", async () => {
  const router = ends(await startTierline());
  for (const [path, method] of [
    ["/v1/models", "GET"],
    ["/v1/nothing", "GET"],
    ["/v1/chat/completions", "GET"],
    ["/readyz", "GET"],
  ] as const) {
    const response = await fetch(router.url + path, { method, headers: { "x-request-id": "player-7" } });
    expect([path, response.headers.get("x-request-id")]).toEqual([path, "player-7"]);
  }
});

test("a 20 MB body is refused in our shape", async () => {
  const router = ends(await startTierline());
  const response = await fetch(`${router.url}/v1/chat/completions`, {
    method: "POST",
    body: "x".repeat(20_000_000),
  });
  expect(response.status).toBe(413);
  expect((await openAiErrorOf(response)).code).toBe("request_too_large");
});
