// Strangers at the gossip listener of the compiled binary: whatever they send is refused without a word, holds little
// memory, and the fleet does not notice.

import { expect, test } from "bun:test";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { chat, messages, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { hostileRequests } from "../support/hostile-requests.ts";
import { openAiErrorOf } from "../support/openai-error.ts";
import { startPair } from "../support/pair.ts";
import { rawClient } from "../support/raw-client.ts";
import { engineToml } from "../support/tierline.ts";

const ends = cleanup();

test("nothing that a stranger sends to the gossip listener is let in, told anything, or kept", async () => {
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
  const { first, second } = ends(
    await startPair([
      { name: "gold-1", config: engineToml("gold", gold.url) },
      { name: "gold-2", config: engineToml("gold", gold.url) },
    ]),
  );
  const { gossip } = await first.logged((line) => line["msg"] === "ready");
  const url = String(gossip);
  const before = await first.metric("process_resident_memory_bytes");

  const wrong: string[] = [];
  for (const { title, bytes, verdicts } of hostileRequests) {
    if (verdicts.includes("waits")) continue;
    const client = await rawClient(url);
    client.write(bytes.replaceAll("/v1/chat/completions", "/gossip"));
    const answer = await client.answer(3000, /^\s*([A-Z]+) /.exec(bytes)?.[1]);
    if (answer === undefined) wrong.push(`${title}: no answer`);
    else if (answer !== "closed" && (answer.status < 400 || answer.body !== "" || answer.status === 500))
      wrong.push(`${title}: ${answer.status} ${answer.body}`);
    client.stop();
  }
  expect(wrong).toEqual([]);

  // Bodies as large as any may be, of which the last byte never comes.
  const slow = await Promise.all(
    Array.from({ length: 500 }, async () => {
      const client = await rawClient(url);
      client.write(`POST /gossip HTTP/1.1\r\nhost: a\r\ncontent-length: 65536\r\n\r\n${"x".repeat(65_535)}`);
      return client;
    }),
  );
  await until("they give way", () => slow.every(({ closed }) => closed), 10_000);
  for (const client of slow) client.stop();

  expect((await first.metric("process_resident_memory_bytes")) - before).toBeLessThan(250e6);
  for (const host of [first, second]) {
    expect(await host.metric("tierline_members", { state: "alive" })).toBe(2);
    expect(host.log.filter(({ level }) => Number(level) >= 50)).toEqual([]);
  }
  expect(await first.metric("tierline_gossip_rejected_total")).toBeGreaterThan(0);
}, 60_000);

test("a request that says that a peer sent it is let in by nobody's word", async () => {
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
  const { first } = ends(
    await startPair([
      { name: "gold-1", config: engineToml("gold", gold.url) },
      { name: "gold-2", config: engineToml("gold", gold.url) },
    ]),
  );
  const claim = "hop=1;tier=gold;endpoint=gold-1/vllm;model=any;body=request";
  const seal = (fleet: string, from: string, version = 1, hmac = "0".repeat(64)): string =>
    `v=${version};fleet=${fleet};from=${from};at=${Date.now()};nonce=${crypto.randomUUID().replaceAll("-", "")};hmac=${hmac}`;
  for (const forged of [
    `${claim};${seal("pair", "gold-2")}`,
    `${claim};caller=lobby;${seal("pair", "gold-2")}`,
    `${claim};${seal("pair", "gold-2", 2)}`,
    `${claim};${seal("other", "gold-2")}`,
    `${claim};${seal("pair", "gold-2", 1, "")}`,
    claim,
    seal("pair", "gold-2"),
    `${claim};`.repeat(20),
    "1",
  ]) {
    const headers = {
      "x-tierline-peer": forged,
      "x-tierline-load": "1 0 0 - -",
      "x-tierline-peer-refused": "none",
    };
    const response = await chat(first.url, { model: "gold", messages, max_tokens: 1 }, { headers });
    expect([forged, response.status, (await openAiErrorOf(response)).code]).toEqual([
      forged,
      403,
      "forbidden",
    ]);
  }
  expect(gold.requests().filter(({ body }) => body.includes("Who goes there"))).toEqual([]);
});
