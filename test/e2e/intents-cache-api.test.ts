// What an operator sees and does of the intent table of the compiled binary, under real traffic: figures that add up,
// settings that hold at once, clearing, a look inside; over the admin API, the shell and /metrics.

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import {
  archetypesOf,
  askBatch,
  askFrame,
  askOne,
  guardToml,
  scoutFeatures,
  scoutToml,
} from "../support/intent-client.ts";
import type { Tierline } from "../support/tierline.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();
const binary = join(import.meta.dir, "../../dist/tierline");

async function house(intents = "deadline_ms = 5000\nttl_ms = 60000\n", engine = { msPerToken: 1 }) {
  const gold = ends(await startSimulatedEngine({ model: "small", ...engine }));
  const config = `${engineToml("gold", gold.url)}[intents]\n${intents}${guardToml}${scoutToml}`;
  const router = ends(await startTierline({ config }));
  return { gold, router, url: router.url };
}

const get = async (router: Tierline, path: string) => {
  const response = await fetch(`${router.adminUrl}/api/cache/${path}`);
  return { status: response.status, body: JSON.parse(await response.text()) };
};
const post = async (router: Tierline, path: string, body: object) => {
  const response = await fetch(`${router.adminUrl}/api/cache/${path}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: JSON.parse(await response.text()) };
};
const statsOf = async (router: Tierline) => (await get(router, "stats")).body.intents;

/** Runs the binary as an operator would, and reads what it prints. */
async function shell(router: Tierline, ...args: string[]) {
  const child = Bun.spawn([binary, "cache", ...args, "--json", "--admin", router.adminUrl], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  if (code !== 0) throw new Error(`exit ${code}: ${err}`);
  return JSON.parse(out);
}

const scouts = (from: number, count: number, more = {}) =>
  Array.from({ length: count }, (_, index) => ({
    archetype: "scout",
    npc: index,
    features: scoutFeatures(from + index),
    ...more,
  }));
const guard = (threat: number) => ({ archetype: "guard", npc: 1, features: { threat } });

describe("the figures", () => {
  test("add up exactly: hits, misses and joins are all asks, over JSON, frames and refused items", async () => {
    const { router, url } = await house();
    const { epoch } = await archetypesOf(url);
    await askBatch(url, scouts(0, 100));
    await askBatch(url, scouts(0, 100));
    // Forty of one situation at once: one miss, and who comes before its answer joins it.
    await askBatch(url, Array<object>(40).fill(guard(0.9)));
    await askFrame(url, epoch, [
      { situation: 0, npc: 1, archetype: 1 },
      { situation: 500, npc: 1, archetype: 1 },
      { situation: 500, npc: 2, archetype: 1 },
      { situation: 999_999, npc: 3, archetype: 1 },
    ]);
    await askOne(url, { archetype: "ghost" });
    const stats = await statsOf(router);
    expect(stats).toMatchObject({
      enabled: true,
      entries: 102,
      max_entries: 1_000_000,
      max_bytes: 256e6,
      hits: 101,
      misses: 102,
      stale_hits: 0,
      joins: 40,
      evictions: 0,
      expirations: 0,
      hit_rate: 101 / 243,
    });
    expect(stats.bytes).toBeGreaterThan(0);
    expect(stats.bytes).toBe(stats.peak_bytes);
    expect(await shell(router, "stats")).toMatchObject({ intents: stats });

    const figures = {
      tierline_cache_hits_total: 101,
      tierline_cache_misses_total: 102,
      tierline_cache_evictions_total: 0,
      tierline_cache_entries: 102,
      tierline_cache_bytes: stats.bytes,
    };
    for (const [name, value] of Object.entries(figures)) {
      expect([name, await router.metric(name, { cache: "intents" })]).toEqual([name, value]);
    }
    const answered = (labels: Record<string, string>) => router.metric("tierline_intents_total", labels);
    expect(await answered({ archetype: "scout", source: "fresh" })).toBe(101);
    expect(await answered({ archetype: "scout", source: "engine" })).toBe(102);
    expect(await answered({ archetype: "guard", source: "engine" })).toBe(40);
    expect(await answered({ archetype: "none", source: "refused" })).toBe(2);
    expect(await answered({})).toBe(245);
    expect(await router.metric("tierline_intent_duration_seconds_count")).toBe(243);
    expect(await router.metric("tierline_intent_questions_total", { outcome: "answered" })).toBe(102);
  });

  test("count stale answers among the hits, and what has expired apart", async () => {
    const { gold, router, url } = await house("deadline_ms = 5000\nttl_ms = 1\nstale_ms = 400\n");
    await askOne(url, guard(0.9));
    gold.fault({ kind: "hang" });
    await Bun.sleep(20);
    expect((await askOne(url, guard(0.9))).source).toBe("stale");
    await Bun.sleep(500);
    expect((await askOne(url, { ...guard(0.9), deadline_ms: 20 })).source).toBe("default");
    const { hits, stale_hits, misses, joins, expirations, entries } = await statsOf(router);
    expect({ hits, stale_hits, expirations, entries }).toEqual({
      hits: 1,
      stale_hits: 1,
      expirations: 1,
      entries: 0,
    });
    expect(misses + joins).toBe(2);
  });
});

describe("the settings", () => {
  test("of a smaller table evict at once, the least recently used first, and of a larger one let it grow", async () => {
    const { router, url } = await house();
    await askBatch(url, scouts(0, 100));
    await askBatch(url, scouts(0, 10));
    const before = await statsOf(router);
    expect((await post(router, "config", { cache: "intents", max_entries: 10 })).body.intents).toEqual({
      enabled: true,
      max_entries: 10,
      max_memory_mb: 256,
      ttl_seconds: 60,
    });
    expect(await statsOf(router)).toMatchObject({ entries: 10, evictions: 90, max_entries: 10 });
    const table = await askBatch(url, scouts(0, 100, { deadline_ms: 0 }));
    expect(table.slice(0, 10).every(({ source }) => source === "fresh")).toBe(true);
    expect(table.slice(10).some(({ source }) => source === "fresh")).toBe(false);

    await shell(router, "config", "--cache", "intents", "--max-entries", "1000");
    await askBatch(url, scouts(0, 100));
    const after = await statsOf(router);
    expect(after).toMatchObject({ entries: 100, max_entries: 1000, bytes: before.bytes });
  });

  test("of memory hold as well", async () => {
    const { router, url } = await house();
    await askBatch(url, scouts(0, 1000));
    const { bytes } = await statsOf(router);
    await post(router, "config", { cache: "intents", max_memory_mb: bytes / 2 / 1e6 });
    const half = await statsOf(router);
    expect(half.entries).toBe(500);
    expect(half.bytes).toBeLessThanOrEqual(half.max_bytes);
    await askBatch(url, scouts(5000, 1000));
    expect(await statsOf(router)).toMatchObject({ entries: 500 });
  });

  test("of time make what is known stale at once, and a disabled table keeps and tells nothing", async () => {
    const { gold, router, url } = await house();
    await askOne(url, guard(0.9));
    await post(router, "config", { cache: "intents", ttl_seconds: 0.001 });
    await Bun.sleep(5);
    expect((await askOne(url, guard(0.9))).source).toBe("stale");
    await post(router, "config", { cache: "intents", ttl_seconds: 60, enabled: false });
    expect(await statsOf(router)).toMatchObject({ enabled: false, entries: 0, bytes: 0 });
    const asked = () => gold.requests().filter(({ body }) => body.includes("The situation:")).length;
    const before = asked();
    for (let turn = 0; turn < 3; turn += 1) expect((await askOne(url, guard(0.3))).source).toBe("engine");
    expect(asked() - before).toBe(3);
    await post(router, "config", { cache: "intents", enabled: true });
    await askOne(url, guard(0.3));
    expect((await askOne(url, guard(0.3))).source).toBe("fresh");
  });

  test("that make no sense are refused as problem+json, and nothing changes", async () => {
    const { router } = await house();
    const before = await get(router, "config");
    for (const body of [
      {},
      { cache: "nonsense" },
      { cache: "intents", max_entries: -1 },
      { cache: "intents", max_entries: 1.5 },
      { cache: "intents", ttl_seconds: "60" },
      { cache: "intents", size: 5 },
    ]) {
      const refused = await post(router, "config", body);
      expect(refused.status).toBe(400);
      expect(refused.body.detail.length).toBeGreaterThan(10);
    }
    expect(await get(router, "config")).toEqual(before);
  });
});

test("clearing takes an archetype, a prefix or all, says how many, and may begin the figures anew", async () => {
  const { router, url } = await house();
  const known = async () => {
    await askBatch(url, scouts(0, 30));
    await askBatch(url, [guard(0.1), guard(0.3), guard(0.9)]);
    expect((await statsOf(router)).entries).toBe(33);
  };
  await known();
  expect((await post(router, "clear", { cache: "intents", archetype: "guard" })).body).toEqual({
    cleared: 3,
    told: 0,
  });
  expect((await askOne(url, { ...guard(0.9), deadline_ms: 0 })).source).toBe("default");
  await until("it is known again", async () => (await statsOf(router)).entries === 31);
  await known();
  // 2 and 20 to 29.
  expect((await post(router, "clear", { cache: "intents", prefix: "scout/2" })).body).toEqual({
    cleared: 11,
    told: 0,
  });
  const left = await askBatch(url, scouts(0, 30, { deadline_ms: 0 }));
  expect(left.filter(({ source }) => source === "fresh").map(({ situation }) => situation)).toEqual(
    Array.from({ length: 20 }, (_, situation) => situation).filter((situation) => situation !== 2),
  );
  await until("they are known again", async () => (await statsOf(router)).entries === 33);
  expect(await shell(router, "clear", "--cache", "intents", "--reset-stats")).toEqual({
    cleared: 33,
    told: 0,
  });
  expect(await statsOf(router)).toMatchObject({
    entries: 0,
    bytes: 0,
    hits: 0,
    misses: 0,
    joins: 0,
    hit_rate: 0,
  });
  const unknown = await post(router, "clear", { cache: "intents", archetype: "ghost" });
  expect(unknown.status).toBe(404);
  expect(unknown.body.detail).toContain("scout");
});

test("the entries are listed in pages, each with its key, age, time left and use", async () => {
  const { router, url } = await house();
  await askBatch(url, scouts(0, 250));
  await askBatch(url, [guard(0.9)]);
  for (let turn = 0; turn < 4; turn += 1) await askBatch(url, [guard(0.9)]);
  const seen: Record<string, unknown>[] = [];
  for (let after: string | undefined, pages = 0; pages < 10; pages += 1) {
    const where = after === undefined ? "" : `&after=${encodeURIComponent(after)}`;
    const { body } = await get(router, `entries?cache=intents&limit=100${where}`);
    seen.push(...body.data);
    if (body.next === null) break;
    after = body.next;
  }
  expect(new Set(seen.map(({ key }) => key)).size).toBe(251);
  expect(seen[0]).toMatchObject({ key: "guard/3", hits: 4 });
  for (const { bytes, age_ms, ttl_ms } of seen) {
    expect(bytes).toBeGreaterThan(0);
    expect(Number(age_ms) + Number(ttl_ms)).toBeGreaterThanOrEqual(59_999);
    expect(Number(age_ms) + Number(ttl_ms)).toBeLessThanOrEqual(60_001);
  }
  const { body } = await get(router, "entries?cache=intents&prefix=scout/24");
  expect(body.data.map(({ key }: { key: string }) => key).sort()).toEqual(
    ["scout/24", ...Array.from({ length: 10 }, (_, digit) => `scout/24${digit}`)].sort(),
  );
  const listed = await shell(router, "entries", "--cache", "intents", "--prefix", "guard/");
  expect(listed.data).toHaveLength(1);
  expect((await get(router, "entries?cache=nonsense")).status).toBe(400);
});
