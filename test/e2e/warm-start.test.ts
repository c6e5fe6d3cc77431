// Both caches over a restart of the compiled binary: what was known before is answered after, engine or not.

import { describe, expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { systemClock } from "../../src/base/clock.ts";
import { loadConfig } from "../../src/config/load.ts";
import { writeSnapshot } from "../../src/host/snapshot-file.ts";
import { openStateDir } from "../../src/host/state-dir.ts";
import { createArchetypes } from "../../src/intents/archetype.ts";
import { createIntentTable } from "../../src/intents/intent-table.ts";
import { encodeTable } from "../../src/intents/table-snapshot.ts";
import { chat, messages, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { askBatch, scoutFeatures, scoutToml } from "../support/intent-client.ts";
import type { Tierline } from "../support/tierline.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

const guard = `[intents]
deadline_ms = 2000
ttl_ms = 60000
[intents.archetype.guard]
prompt = "A castle guard."
actions = ["patrol", "flee"]
default = "patrol"
[intents.archetype.guard.feature]
threat = { buckets = [0.5] }
`;

/** Routers that follow each other on one state.dir, beside one engine. */
async function host() {
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
  const dir = mkdtempSync(join(tmpdir(), "tierline-warm-"));
  ends({ stop: () => rmSync(dir, { recursive: true, force: true }) });
  return {
    gold,
    dir,
    next: async (archetypes = guard): Promise<Tierline> =>
      ends(
        await startTierline({
          config: engineToml("gold", gold.url) + archetypes,
          env: { TIERLINE_STATE_DIR: dir },
        }),
      ),
  };
}

const question = { model: "gold", messages, temperature: 0, max_tokens: 3 };

async function ask(router: Tierline) {
  const response = await chat(router.url, question);
  return { cache: response.headers.get("x-tierline-cache"), text: await response.text() };
}

async function intend(router: Tierline): Promise<{ intent: unknown; source: unknown; ageMs: number }> {
  const response = await fetch(`${router.url}/v1/npc/intents`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ archetype: "guard", npc: 1, features: { threat: 0.9 } }),
  });
  expect(response.status).toBe(200);
  const answer: unknown = await response.json();
  const member = (name: string): unknown =>
    typeof answer === "object" && answer !== null ? Reflect.get(answer, name) : undefined;
  return { intent: member("intent"), source: member("source"), ageMs: Number(member("age_ms")) };
}

const isBack = (cache: string) => (line: Record<string, unknown>) =>
  line["msg"] === "cache is back" && line["cache"] === cache;

describe("after a restart", () => {
  test("both caches answer as before, with honest ages, although the engine is gone", async () => {
    const { gold, next } = await host();
    const first = await next();
    const { text } = await ask(first);
    const { intent } = await intend(first);
    expect((await intend(first)).source).toBe("fresh");
    first.signal("SIGTERM");
    expect(await first.exited).toBe(0);
    await gold.stop();

    const second = await next();
    expect(await second.logged(isBack("results"))).toMatchObject({ entries: 1, dropped: 0 });
    expect(await second.logged(isBack("intents"))).toMatchObject({ entries: 1, dropped: 0 });
    expect(await ask(second)).toEqual({ cache: "hit", text });
    const again = await intend(second);
    expect(again).toMatchObject({ intent, source: "fresh" });
    expect(again.ageMs).toBeGreaterThan(0);
  });

  test("kill -9 leaves what the last drain has saved", async () => {
    const { next } = await host();
    const first = await next();
    const { text } = await ask(first);
    first.signal("SIGTERM");
    await first.exited;
    const second = await next();
    await second.logged(isBack("results"));
    second.signal("SIGKILL");
    await second.exited;
    const third = await next();
    await third.logged(isBack("results"));
    expect(await ask(third)).toEqual({ cache: "hit", text });
  });

  test("what an operator has cleared does not come back, not even after kill -9", async () => {
    const { next } = await host();
    const first = await next();
    await ask(first);
    first.signal("SIGTERM");
    await first.exited;
    const second = await next();
    await second.logged(isBack("results"));
    const cleared = await fetch(`${second.adminUrl}/api/cache/clear`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: '{"cache":"results"}',
    });
    expect(await cleared.json()).toEqual({ cleared: 1, told: 0 });
    second.signal("SIGKILL");
    await second.exited;
    expect((await ask(await next())).cache).toBe("miss");
  });

  test("damaged files and those of other archetypes are set aside with a line, and it serves", async () => {
    const { dir, next } = await host();
    const first = await next();
    await intend(first);
    first.signal("SIGTERM");
    await first.exited;
    writeFileSync(join(dir, "results.cache"), "nonsense");
    const second = await next(guard.replace("A castle guard.", "A cowardly guard."));
    const aside = (cache: string) => (line: Record<string, unknown>) =>
      line["level"] === "warn" && line["cache"] === cache;
    expect(await second.logged(aside("results"))).toMatchObject({ because: "damaged" });
    expect((await ask(second)).cache).toBe("miss");
    expect((await intend(second)).source).toBe("engine");
    expect(readdirSync(dir)).toContain("results.cache.set-aside");
  });

  test("what hangs in flight takes no time away from saving, nor saving from the deadline", async () => {
    const { dir, gold, next } = await host();
    const first = await next(`${guard}[drain]\ndeadline_ms = 600\n`);
    await ask(first);
    gold.fault({ kind: "hang" });
    const hanging = chat(first.url, { ...question, temperature: 1 }).catch(() => undefined);
    await until("it hangs", async () => (await first.metric("tierline_inflight")) === 1);
    const began = performance.now();
    first.signal("SIGTERM");
    expect(await first.exited).toBe(1);
    expect(performance.now() - began).toBeLessThan(2500);
    await hanging;
    expect(readdirSync(dir)).toContain("results.cache");
  });

  test("a second signal ends without saving", async () => {
    const { dir, gold, next } = await host();
    const first = await next();
    await ask(first);
    gold.fault({ kind: "hang" });
    const hanging = chat(first.url, { ...question, temperature: 1 }).catch(() => undefined);
    await until("it hangs", async () => (await first.metric("tierline_inflight")) === 1);
    first.signal("SIGTERM");
    await first.logged((line) => line["msg"] === "draining");
    first.signal("SIGTERM");
    expect(await first.exited).toBe(1);
    await hanging;
    expect(readdirSync(dir)).not.toContain("results.cache");
  });

  test("100,000 intents are back in half a second, after it is ready, and are saved again", async () => {
    const { dir, next } = await host();
    const archetypes = `[intents]\nttl_ms = 60000\n${scoutToml}`;
    const began = performance.now();
    await saveAllScouts(dir, archetypes);
    const madeMs = performance.now() - began;

    const second = await next(archetypes);
    const back = await second.logged(isBack("intents"));
    expect(back).toMatchObject({ entries: 100_000, dropped: 0 });
    // A machine that takes long to make them takes long to read them.
    expect(Number(back["took_ms"])).toBeLessThan(Math.max(500, 3 * madeMs));
    const messages = second.log.map(({ msg }) => msg);
    expect(messages.indexOf("ready")).toBeLessThan(messages.indexOf("cache is back"));
    const somewhere = [0, 1, 4711, 99_999];
    const answers = await askBatch(
      second.url,
      somewhere.map((situation) => ({ archetype: "scout", features: scoutFeatures(situation) })),
    );
    expect(answers.map(({ source, action }) => [source, action])).toEqual(
      somewhere.map((situation) => ["fresh", situation % 4]),
    );
    second.signal("SIGTERM");
    expect(await second.exited).toBe(0);
    const third = await next(archetypes);
    expect(await third.logged(isBack("intents"))).toMatchObject({ entries: 100_000, dropped: 0 });
  });
});

/** As a router leaves them that has been asked about every situation of the scout: an engine takes a minute for it. */
async function saveAllScouts(dir: string, config: string): Promise<void> {
  const loaded = loadConfig({ path: "tierline.toml", env: {}, flags: {}, readFile: () => config });
  const opened = openStateDir(dir);
  if (!loaded.ok || !opened.ok) throw new Error("no archetypes, or no place for them");
  const { intents } = loaded.config;
  const archetypes = createArchetypes(intents.archetypes);
  const table = createIntentTable(archetypes, intents, systemClock.now);
  for (const archetype of archetypes.all) {
    for (let situation = 0; situation < archetype.situations; situation += 1) {
      const odds = archetype.actions.map((_, action) => (action === situation % 4 ? 0.7 : 0.1));
      table.put(archetype, situation, odds, systemClock.now());
    }
  }
  const payload = encodeTable(table, 1e9, systemClock.now());
  const saved = { payload, savedAtMs: systemClock.wallMs() };
  const written = await writeSnapshot(opened.state, "intents", saved, new AbortController().signal);
  if (!written.ok) throw new Error(written.message);
  opened.state.close();
}
