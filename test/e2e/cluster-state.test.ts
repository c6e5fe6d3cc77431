// What two compiled routers share beyond their engines' slots: the answers about NPCs, an engine's new model, an
// operator's clearing.

import { expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { chat, messages, readAll, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { askBatch, askOne, guardToml } from "../support/intent-client.ts";
import { startPair } from "../support/pair.ts";
import type { Tierline } from "../support/tierline.ts";
import { engineToml } from "../support/tierline.ts";

setDefaultTimeout(30_000);

const ends = cleanup();
const patient = `[intents]\ndeadline_ms = 5000\nttl_ms = 60000\n${guardToml}`;

/** The second host has a Silver engine and, where `silver` is false, none at all. */
async function pair({ silver = true, dir }: { silver?: boolean; dir?: string } = {}) {
  const gold = ends(await startSimulatedEngine({ model: "small-0", msPerToken: 1 }));
  const large = ends(await startSimulatedEngine({ model: "large", msPerToken: 1 }));
  const two = ends(
    await startPair(
      [
        { name: "gold-1", config: engineToml("gold", gold.url) },
        {
          name: "silver-1",
          config: silver ? engineToml("silver", large.url) : "",
          ...(dir === undefined ? {} : { dir }),
        },
      ],
      patient,
    ),
  );
  await until("the second knows the first's model", () => lists(two.second, "small-0"));
  return { gold, large, ...two };
}

const lists = async (router: Tierline, model: string): Promise<boolean> =>
  (await fetch(`${router.url}/v1/models/${model}`)).status === 200;

const guard = (threat: number) => ({ archetype: "guard", npc: 17, features: { threat } });

for (const [what, silver] of [
  ["has Silver only", true],
  ["has no engine at all", false],
] as const) {
  test(`a host that ${what} answers its NPCs by a peer's Gold engine, and then from its own table`, async () => {
    const { gold, large, second } = await pair({ silver });
    const first = await askOne(second.url, guard(0.1));
    expect(first).toMatchObject({ npc: 17, source: "peer" });
    expect(await askOne(second.url, guard(0.1))).toMatchObject({ source: "fresh", action: first.action });
    const [asked] = gold.requests().filter(({ body }) => body.includes("The situation:"));
    expect(JSON.parse(asked?.body ?? "")).toMatchObject({ model: "small-0", max_tokens: 1 });
    expect(large.requests().some(({ body }) => body.includes("The situation:"))).toBe(false);
    expect(await second.metric("tierline_intents_total", { archetype: "guard", source: "peer" })).toBe(1);
  });
}

test("no request by tier is lost over the swaps of an engine's model behind a peer, and all hosts list the new one within 2 s", async () => {
  const { gold, first, second } = await pair();
  const failed: string[] = [];
  const answeredBy = new Map<string, number>();
  let swapping = true;
  const player = async (turn: number): Promise<void> => {
    for (; swapping; turn += 1) {
      const stream = turn % 3 === 0;
      const response = await chat(second.url, { model: "gold", messages, max_tokens: 2, stream });
      const { text, clean } = await readAll(response);
      const whole = clean && response.status === 200 && (!stream || text.endsWith("data: [DONE]\n\n"));
      const model = /"model":"([^"]+)"/.exec(text)?.[1] ?? "none";
      if (!whole) failed.push(`${response.status} ${text.slice(0, 200)}`);
      else answeredBy.set(model, (answeredBy.get(model) ?? 0) + 1);
    }
  };
  const players = Array.from({ length: 6 }, (_, index) => player(index));
  for (let swap = 1; swap <= 3; swap += 1) {
    await Bun.sleep(230);
    gold.serve(`small-${swap}`);
  }
  await until(
    "both list the last",
    async () => (await lists(first, "small-3")) && lists(second, "small-3"),
    2000,
  );
  swapping = false;
  await Promise.all(players);
  expect(failed).toEqual([]);
  for (let swap = 0; swap <= 3; swap += 1) expect(answeredBy.get(`small-${swap}`)).toBeGreaterThan(0);
  expect(await lists(second, "small-0")).toBe(false);
});

test("what is cleared while a host is away does not come back with it from its disk", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tierline-away-"));
  try {
    const { first, second, again } = await pair({ dir });
    const threats = [0, 0.3, 0.6, 0.9];
    for (const { url } of [first, second]) await askBatch(url, threats.map(guard));
    const entries = (router: Tierline) => router.metric("tierline_cache_entries", { cache: "intents" });
    expect(await entries(second)).toBe(4);
    expect(await second.stop()).toBe(0);

    const clearing = { cache: "intents", archetype: "guard" };
    const response = await fetch(`${first.adminUrl}/api/cache/clear`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(clearing),
    });
    expect(await response.json()).toMatchObject({ cleared: 4 });

    const back = await again();
    await back.logged(({ msg, from }) => msg === "cache cleared: told by a peer" && from === "gold-1");
    // Long enough for what was saved to have come back, were it to.
    await Bun.sleep(300);
    expect(await entries(back)).toBe(0);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
