// Many at once, and the neighbours do not notice.

import { expect, test } from "bun:test";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { systemClock } from "../../src/base/clock.ts";
import { createWireClient } from "../../src/wire/client.ts";
import { chat, messages, readAll, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

test("150 concurrent streams all come whole", async () => {
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 5, maxNumSeqs: 200 }));
  const router = ends(await startTierline({ config: engineToml("gold", gold.url, "max_concurrent = 200") }));
  const streams = await Promise.all(
    Array.from({ length: 150 }, async () =>
      readAll(
        await chat(
          router.url,
          { model: "gold", messages, stream: true, max_tokens: 50 },
          { headers: { "x-tierline-deadline-ms": "20000" } },
        ),
      ),
    ),
  );
  for (const { text, clean } of streams) {
    expect(clean).toBe(true);
    expect(text).toEndWith("data: [DONE]\n\n");
    expect(text.match(/^data: \{/gm)?.length).toBeGreaterThan(2);
  }
  expect(await router.metric("tierline_inflight")).toBe(0);
}, 60_000);

test("300 held requests to one engine delay neither another engine, nor a probe, nor the admin API", async () => {
  const held = ends(await startSimulatedEngine({ model: "small", maxNumSeqs: 400 }));
  const free = ends(await startSimulatedEngine({ model: "large", msPerToken: 1 }));
  const config = engineToml("gold", held.url, "max_concurrent = 400") + engineToml("silver", free.url);
  const router = ends(await startTierline({ config: `${config}[sla.realtime]\nladder = ["gold"]\n` }));
  held.fault({ kind: "slow-first-byte", delayMs: 5000 });
  // The house's own client, because the runtime's fetch has at most 256 requests in the air.
  const { hostname, port } = new URL(router.url);
  const client = createWireClient({ host: hostname, port: Number(port) }, systemClock);
  const body = [Buffer.from(JSON.stringify({ model: "gold", messages }))];
  const headers = [["x-tierline-deadline-ms", "10000"]] as const;
  const asked = Array.from({ length: 300 }, () => {
    const exchange = client.request({ method: "POST", path: "/v1/chat/completions", headers, body });
    exchange.response.catch(() => undefined);
    return exchange;
  });
  await until(
    "300 are held",
    async () => (await router.metric("tierline_inflight", { endpoint: "gold-1/vllm" })) === 300,
  );

  const timed = async (work: () => Promise<Response>): Promise<number> => {
    const began = performance.now();
    const response = await work();
    await response.arrayBuffer();
    expect(response.status).toBe(200);
    return performance.now() - began;
  };
  const slowest = { other: 0, admin: 0, ready: 0 };
  for (let turn = 0; turn < 20; turn += 1) {
    slowest.other = Math.max(
      slowest.other,
      await timed(() => chat(router.url, { model: "silver", messages, max_tokens: 1 })),
    );
    slowest.admin = Math.max(
      slowest.admin,
      await timed(() => fetch(`${router.adminUrl}/api/explain?sla=realtime`)),
    );
    slowest.ready = Math.max(slowest.ready, await timed(() => fetch(`${router.url}/readyz`)));
  }
  // Each takes a few milliseconds; what is ruled out is waiting behind the held ones.
  expect(Math.max(slowest.other, slowest.admin, slowest.ready)).toBeLessThan(500);
  for (const exchange of asked) exchange.cancel();
  await until("all slots are free", async () => (await router.metric("tierline_inflight")) === 0);
}, 30_000);
