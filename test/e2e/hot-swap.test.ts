// The compiled binary before an engine that gets another model behind its address, several times, under steady traffic.

import { expect, test } from "bun:test";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { chat, messages, readAll, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

/** A tier, an SLA class, an alias, and no name at all: none of them is an engine's. */
const names = ["gold", "realtime", "npc-fast", undefined] as const;

test("no request by tier, class or alias is lost over the swaps of an engine's model, stream or not", async () => {
  const gold = ends(await startSimulatedEngine({ model: "model-0", msPerToken: 1, maxNumSeqs: 8 }));
  const config = `${engineToml("gold", gold.url, "max_concurrent = 8")}
[aliases]
"npc-fast" = { tier = "gold" }
`;
  const router = ends(await startTierline({ config }));
  const failed: string[] = [];
  const answeredBy = new Map<string, number>();
  let swapping = true;

  const player = async (turn: number): Promise<void> => {
    for (; swapping; turn += 1) {
      const stream = turn % 3 === 0;
      const body = { model: names[turn % names.length], messages, max_tokens: 1 + (turn % 4), stream };
      const response = await chat(router.url, body, { headers: { "x-tierline-sla": "interactive" } });
      const { text, clean } = await readAll(response);
      const whole = clean && response.status === 200 && (!stream || text.endsWith("data: [DONE]\n\n"));
      const model = /"model":"([^"]+)"/.exec(text)?.[1] ?? "none";
      if (!whole) failed.push(`${response.status} ${text.slice(0, 200)}`);
      else answeredBy.set(model, (answeredBy.get(model) ?? 0) + 1);
    }
  };
  // More than there are slots, so that some wait in the room when the model goes.
  const players = Array.from({ length: 12 }, (_, index) => player(index));
  const swaps = 5;
  for (let swap = 1; swap <= swaps; swap += 1) {
    // Mostly between two of the router's own questions, which come every second.
    await Bun.sleep(230);
    gold.serve(`model-${swap}`);
  }
  await Bun.sleep(200);
  swapping = false;
  await Promise.all(players);

  expect(failed).toEqual([]);
  expect([...answeredBy.keys()].toSorted()).toEqual(
    Array.from({ length: swaps + 1 }, (_, index) => `model-${index}`),
  );
  expect(await router.metric("tierline_retries_total")).toBe(0);
  expect(await router.metric("tierline_attempts_total", { outcome: "client-error" })).toBeGreaterThan(0);
}, 20_000);

test("a swap shows in /v1/models within 2 s without a request, and who names the old model is told 404", async () => {
  const gold = ends(await startSimulatedEngine({ model: "before" }));
  const router = ends(await startTierline({ config: engineToml("gold", gold.url) }));
  gold.serve("after");
  const listed = async () => (await fetch(`${router.url}/v1/models/after`)).status === 200;
  await until("the new model is listed", listed, 2000);
  expect((await chat(router.url, { model: "before", messages })).status).toBe(404);
  expect((await chat(router.url, { model: "after", messages, max_tokens: 1 })).status).toBe(200);
});
