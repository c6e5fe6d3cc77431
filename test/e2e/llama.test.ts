// The compiled binary in front of a real engine: llama.cpp with a generated model.

import { expect, test } from "bun:test";
import { join } from "node:path";
import { chat, messages, readAll, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { archetypesOf, askBatch, askFrame, askOne, guardToml } from "../support/intent-client.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

/** In a process of its own, so that it can be killed. */
async function startLlama() {
  const script = join(import.meta.dir, "../../playground/llama-engine.ts");
  const child = Bun.spawn(["bun", script, "--model", "tiny-npc"], { stdout: "pipe", stderr: "ignore" });
  const decoder = new TextDecoder();
  let text = "";
  const reader = child.stdout.getReader();
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error("llama.cpp did not start");
    text += decoder.decode(value);
  }
  const ready: unknown = JSON.parse(text.split("\n")[0] ?? "");
  const url = typeof ready === "object" && ready !== null && "url" in ready ? String(ready.url) : "";
  const stats = async (): Promise<{ running: number; aborted: number }> => {
    const response = await fetch(`${url}/control/stats`);
    const { running, aborted }: Record<string, number> = Object.fromEntries(
      Object.entries((await response.json()) ?? {}),
    );
    return { running: running ?? 0, aborted: aborted ?? 0 };
  };
  const stop = async (): Promise<void> => {
    child.kill("SIGKILL");
    await child.exited;
  };
  return ends({ url, stats, stop });
}

const llamaToml = (tier: "gold" | "silver", url: string) =>
  engineToml(tier, url, "max_concurrent = 4", "llama-cpp");
const patient = { headers: { "x-tierline-deadline-ms": "30000" } };

test("a chat and a stream come through whole", async () => {
  const llama = await startLlama();
  const router = ends(await startTierline({ config: llamaToml("gold", llama.url) }));
  const response = await chat(router.url, { model: "tiny-npc", messages, max_tokens: 8 }, patient);
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({ object: "chat.completion", choices: [{ index: 0 }] });
  const streamed = await readAll(
    await chat(router.url, { model: "gold", messages, max_tokens: 8, stream: true }, patient),
  );
  expect(streamed.clean).toBe(true);
  expect(streamed.text).toEndWith("data: [DONE]\n\n");
}, 30_000);

test("a caller who leaves mid-stream is noticed by the engine", async () => {
  const llama = await startLlama();
  const router = ends(await startTierline({ config: llamaToml("gold", llama.url) }));
  const leaving = new AbortController();
  const response = await chat(
    router.url,
    { model: "gold", messages, max_tokens: 400, stream: true },
    { ...patient, signal: leaving.signal },
  );
  await response.body?.getReader().read();
  leaving.abort();
  await until("the engine has dropped it", async () => {
    const { running, aborted } = await llama.stats();
    return running === 0 && aborted === 1;
  });
}, 30_000);

test("two engines, one killed mid-run: every caller is answered", async () => {
  const first = await startLlama();
  const second = await startLlama();
  const router = ends(
    await startTierline({ config: llamaToml("gold", first.url) + llamaToml("gold", second.url) }),
  );
  const statuses: number[] = [];
  const ask = async (): Promise<void> => {
    const response = await chat(router.url, { model: "gold", messages, max_tokens: 4 }, patient);
    await response.arrayBuffer();
    statuses.push(response.status);
  };
  const all: Promise<void>[] = [];
  for (let sent = 0; sent < 120; sent += 1) {
    if (sent === 40) await first.stop();
    all.push(ask());
    await Bun.sleep(10);
  }
  await Promise.all(all);
  expect(statuses.filter((status) => status !== 200)).toEqual([]);
  expect(
    await router.metric("tierline_attempts_total", { endpoint: "gold-1/llama-cpp-2", outcome: "ok" }),
  ).toBeGreaterThan(60);
}, 60_000);

test("it answers real intents with a letter of the list, and from then on the table does", async () => {
  const llama = await startLlama();
  const config = `${llamaToml("gold", llama.url)}[intents]\ndeadline_ms = 10000\nttl_ms = 60000\n${guardToml}`;
  const router = ends(await startTierline({ config }));
  const line = await router.logged(({ constraint }) => constraint !== undefined);
  expect(line).toMatchObject({ constraint: "grammar", held: true });

  const crowd = [0.1, 0.3, 0.6, 0.9].flatMap((threat) =>
    ["clear", "rain", "fog"].map((weather) => ({
      archetype: "guard",
      npc: `${threat} ${weather}`,
      features: { threat, weather },
    })),
  );
  const { epoch, archetypes } = await archetypesOf(router.url);
  const said = await askBatch(router.url, crowd);
  for (const { npc, intent, action, source, confidence } of said) {
    expect({ npc, source, intent }).toEqual({
      npc,
      source: "engine",
      intent: archetypes[0]?.actions[action] ?? "",
    });
    expect(confidence).toBeGreaterThan(0);
    expect(confidence).toBeLessThanOrEqual(1);
  }
  const again = await askBatch(router.url, crowd);
  expect(again.every(({ source }) => source === "fresh")).toBe(true);
  expect(again.map(({ intent }) => intent)).toEqual(said.map(({ intent }) => intent));
  const { situation = -1, action = -1 } = said[0] ?? {};
  const [frame] = await askFrame(router.url, epoch, [{ situation, npc: 1, archetype: 0 }]);
  expect(frame).toMatchObject({ source: 0, action });
  // Within a frame's time, too, a valid action.
  const hasty = await askOne(router.url, { archetype: "guard", features: { alerted: true }, deadline_ms: 1 });
  expect(archetypes[0]?.actions).toContain(hasty.intent);
}, 30_000);
