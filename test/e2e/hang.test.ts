// One of two engines hangs as a real vLLM does: it takes requests, passes its health check and reads idle.

import { expect, test } from "bun:test";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { chat, messages } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

const perSecond = 200;
const patienceMs = 1000;

test("of 1,400 requests at 200/s with callers who give up after 1 s at most 5 fail, and the healed engine is back within 2 s", async () => {
  const steady = ends(await startSimulatedEngine({ model: "small", msPerToken: 5 }));
  const hanging = ends(await startSimulatedEngine({ model: "small", msPerToken: 5 }));
  const config = engineToml("gold", steady.url) + engineToml("gold", hanging.url);
  const router = ends(await startTierline({ config }));

  let failed = 0;
  const ask = async (): Promise<void> => {
    try {
      const response = await chat(
        router.url,
        { model: "gold", messages, max_tokens: 2 },
        { signal: AbortSignal.timeout(patienceMs) },
      );
      await response.arrayBuffer();
      if (response.status !== 200) failed += 1;
    } catch {
      failed += 1;
    }
  };
  const load = async (seconds: number): Promise<void> => {
    const asked: Promise<void>[] = [];
    const began = performance.now();
    for (let sent = 0; sent < perSecond * seconds; sent += 1) {
      const due = began + (sent * 1000) / perSecond;
      if (due > performance.now()) await Bun.sleep(due - performance.now());
      asked.push(ask());
    }
    await Promise.all(asked);
  };

  await load(2);
  expect(failed).toBe(0);
  hanging.fault({ kind: "hang" });
  await load(5);
  expect(failed).toBeLessThanOrEqual(5);

  const answered = () => hanging.stats().finished;
  const before = answered();
  hanging.clear();
  await load(2);
  expect(answered()).toBeGreaterThan(before + 5);
  // It comes back by and by, not all at once.
  expect(
    await router.metric("tierline_attempts_total", { endpoint: "gold-1/vllm", outcome: "ok" }),
  ).toBeGreaterThan(
    await router.metric("tierline_attempts_total", { endpoint: "gold-1/vllm-2", outcome: "ok" }),
  );
  expect(failed).toBeLessThanOrEqual(5);
  await router.logged((line) => line["msg"] === "endpoint is silent");
  await router.logged((line) => line["msg"] === "endpoint answers again");
}, 30_000);

test("a 25 s unstreamed answer on a healthy engine is never cut and never repeated", async () => {
  const slow = ends(await startSimulatedEngine({ model: "small", msPerToken: 250 }));
  const other = ends(await startSimulatedEngine({ model: "small", msPerToken: 250 }));
  const router = ends(
    await startTierline({ config: engineToml("gold", slow.url) + engineToml("gold", other.url) }),
  );
  const response = await chat(
    router.url,
    { model: "gold", messages, max_tokens: 100 },
    { headers: { "x-tierline-deadline-ms": "60000" } },
  );
  expect(response.status).toBe(200);
  expect(response.headers.get("x-tierline-attempts")).toBe("1");
  const real = [...slow.requests(), ...other.requests()].filter(({ body }) =>
    body.includes("Who goes there?"),
  );
  expect(real).toHaveLength(1);
}, 60_000);
