// The cache API before scripted caches: shapes, ranges, and the sentences of its refusals.

import { describe, expect, test } from "bun:test";
import { Hono } from "hono";
import type { Clearing } from "../../src/fleet/clearing.ts";
import { addCacheApi } from "../../src/http/cache-api.ts";
import { createArchetypes } from "../../src/intents/archetype.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { guard } from "../support/archetypes.ts";
import type { CacheScript } from "../support/scripted-cache.ts";
import { cacheEntry, scriptedCache } from "../support/scripted-cache.ts";
import { virtualClock } from "../support/virtual-clock.ts";

function api(scripts: { intents?: CacheScript; results?: CacheScript } = {}) {
  const app = new Hono();
  const caches = { intents: scriptedCache(scripts.intents), results: scriptedCache(scripts.results) };
  const forgotten: string[] = [];
  const announced: Clearing[] = [];
  addCacheApi(app, {
    caches,
    cluster: { announce: (clearing) => announced.push(clearing) + 1 },
    clock: virtualClock(),
    log: createLog("silent").log,
    intents: { archetypes: createArchetypes([guard]) },
    onCacheCleared: (cache) => forgotten.push(cache),
  });
  const ask = async (path: string, body?: unknown) => {
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const init = body === undefined ? {} : { method: "POST", body: text };
    const response = await app.request(`/api/cache/${path}`, init);
    const answer: unknown = await response.json();
    return { status: response.status, type: response.headers.get("content-type"), body: answer };
  };
  return { ask, caches, forgotten, announced };
}

const ok = (body: unknown) => ({ status: 200, type: expect.stringMatching(/^application\/json/), body });
const refusal = (detail: string, status = 400) => ({
  status,
  type: "application/problem+json",
  body: { type: "about:blank", title: expect.any(String), status, detail },
});

describe("GET /api/cache/stats", () => {
  test("has every figure of both caches, and hit_rate = hits / (hits + misses + joins)", async () => {
    const { ask } = api({
      intents: {
        entries: [cacheEntry("guard/1"), cacheEntry("guard/2")],
        stats: { hits: 6, staleHits: 2, misses: 3, joins: 1, evictions: 4, expirations: 5, peakBytes: 300 },
      },
    });
    const fixed = { enabled: true, max_entries: 1000, max_bytes: 512_000_000 };
    const intents = {
      ...fixed,
      entries: 2,
      bytes: 200,
      peak_bytes: 300,
      hits: 6,
      misses: 3,
      stale_hits: 2,
      joins: 1,
      evictions: 4,
      expirations: 5,
      hit_rate: 0.6,
    };
    const zeros = { hits: 0, misses: 0, stale_hits: 0, joins: 0, evictions: 0, expirations: 0, hit_rate: 0 };
    const results = { ...fixed, entries: 0, bytes: 0, peak_bytes: 0, ...zeros };
    expect(await ask("stats")).toEqual(ok({ intents, results }));
  });
});

describe("/api/cache/config", () => {
  const before = { enabled: true, max_entries: 1000, max_memory_mb: 512, ttl_seconds: 60 };

  test("changes the members that are named, of the cache that is named, and answers what is in force", async () => {
    const { ask, caches } = api();
    expect(await ask("config")).toEqual(ok({ intents: before, results: before }));
    const change = { cache: "intents", max_memory_mb: 1.5, ttl_seconds: 0.25 };
    const intents = { ...before, max_memory_mb: 1.5, ttl_seconds: 0.25 };
    expect(await ask("config", change)).toEqual(ok({ intents, results: before }));
    expect(caches.intents.asked).toEqual([{ configure: { maxBytes: 1_500_000, ttlMs: 250 } }]);
    expect(caches.results.asked).toEqual([]);

    const all = { enabled: false, max_entries: 7, max_memory_mb: 1, ttl_seconds: 2 };
    expect(await ask("config", { cache: "results", ...all })).toEqual(ok({ intents, results: all }));
    expect(await ask("config")).toEqual(ok({ intents, results: all }));
  });

  test("takes back what it has answered", async () => {
    const { ask } = api({ intents: { settings: { maxBytes: 64_000, ttlMs: 333 } } });
    const { body } = await ask("config");
    const intents = typeof body === "object" && body !== null ? Reflect.get(body, "intents") : undefined;
    expect(await ask("config", { cache: "intents", ...intents })).toEqual(ok(body));
  });

  test.each([
    [{}, 'cache is missing; it must be one of "intents", "results".'],
    [{ cache: "both" }, 'cache must be one of "intents", "results", not "both".'],
    [{ cache: "intents", max_entries: 0 }, "max_entries must be a whole number from 1 to 10000000, not 0."],
    [
      { cache: "intents", max_entries: 1.5 },
      "max_entries must be a whole number from 1 to 10000000, not 1.5.",
    ],
    [
      { cache: "intents", max_memory_mb: -1 },
      "max_memory_mb must be a number from 0.001 to 1000000, not -1.",
    ],
    [
      { cache: "results", ttl_seconds: "60" },
      'ttl_seconds must be a number from 0.001 to 31536000, not "60".',
    ],
    [{ cache: "results", enabled: null }, "enabled must be true or false, not null."],
    [
      { cache: "results", ttl: 1 },
      'There is no "ttl" here; there are cache, enabled, max_entries, max_memory_mb, ttl_seconds.',
    ],
    [[], "The request body must be a JSON object."],
    [
      { cache: "results", enabled: 1, max_entries: 0 },
      "enabled must be true or false, not 1. max_entries must be a whole number from 1 to 10000000, not 0.",
    ],
  ])("refuses %j and changes nothing", async (body, why) => {
    const { ask, caches } = api();
    expect(await ask("config", body)).toEqual(refusal(why));
    expect([...caches.intents.asked, ...caches.results.asked]).toEqual([]);
  });

  test("refuses what is no JSON, and a body without end", async () => {
    const { ask } = api();
    expect(await ask("config", "{")).toEqual(refusal(expect.stringContaining("not valid JSON")));
    const long = await ask("config", { cache: "x".repeat(100_000) });
    expect(long).toEqual(refusal("The request body is larger than the limit of 64000 bytes."));
  });
});

describe("POST /api/cache/clear", () => {
  const some = () =>
    api({
      intents: { entries: [cacheEntry("guard/1"), cacheEntry("wolf/1")] },
      results: { entries: [cacheEntry("guard-7")] },
    });

  test("clears both caches where none is named, tells the peers, and says how many entries went", async () => {
    const { ask, forgotten, announced } = some();
    expect(await ask("clear", {})).toEqual(ok({ cleared: 3, told: 2 }));
    expect(forgotten).toEqual(["intents", "results"]);
    expect(await ask("clear", "")).toEqual(ok({ cleared: 0, told: 3 }));
    const all = { cache: undefined, archetype: undefined, prefix: undefined };
    expect(announced).toEqual([all, all]);
  });

  test("clears the one that is named, by prefix, with its counts, and tells nobody what is local", async () => {
    const { ask, caches, forgotten, announced } = some();
    const body = { cache: "intents", prefix: "guard/", reset_stats: true, local: true };
    expect(await ask("clear", body)).toEqual(ok({ cleared: 1, told: 0 }));
    expect(announced).toEqual([]);
    expect(caches.intents.asked).toEqual([
      { clear: { archetype: undefined, prefix: "guard/", resetStats: true } },
    ]);
    expect(caches.results.asked).toEqual([]);
    expect(forgotten).toEqual(["intents"]);
  });

  test("an archetype means the intents, whether or not they are named", async () => {
    const { ask, caches, announced } = some();
    await ask("clear", { archetype: "guard" });
    await ask("clear", { archetype: "guard", cache: "intents" });
    expect(announced.map(({ archetype }) => archetype)).toEqual(["guard", "guard"]);
    expect(caches.intents.asked).toHaveLength(2);
    expect(caches.results.asked).toEqual([]);
  });

  test.each([
    [
      { archetype: "guard", cache: "results" },
      400,
      "Results have no archetype: leave it out, or name the cache intents.",
    ],
    [{ archetype: "gard" }, 404, 'There is no archetype "gard"; there are guard.'],
    [{ prefix: 5 }, 400, "prefix must be the beginning of a key, not 5."],
    [
      { everything: true },
      400,
      'There is no "everything" here; there are cache, archetype, prefix, reset_stats, local.',
    ],
  ])("refuses %j, clears nothing and tells nobody", async (body, status, why) => {
    const { ask, caches, forgotten, announced } = some();
    expect(await ask("clear", body)).toEqual(refusal(why, status));
    expect([...caches.intents.asked, ...caches.results.asked, ...forgotten, ...announced]).toEqual([]);
  });
});

describe("GET /api/cache/entries", () => {
  test("pages by `after`, with null for what there is not", async () => {
    const first = cacheEntry("a/1", { ageMs: 10.4, ttlMs: 989.6, hits: 3, lastHitMs: 0.2 });
    const { ask } = api({ intents: { entries: [first, cacheEntry("b/1"), cacheEntry("a/2")] } });
    const one = { key: "a/1", bytes: 100, age_ms: 10, ttl_ms: 990, hits: 3, last_hit_ms: 0 };
    expect(await ask("entries?cache=intents&prefix=a%2F&limit=1")).toEqual(ok({ data: [one], next: "a/1" }));
    const two = { key: "a/2", bytes: 100, age_ms: 10, ttl_ms: 990, hits: 0, last_hit_ms: null };
    const rest = await ask("entries?cache=intents&prefix=a%2F&limit=1&after=a%2F1");
    expect(rest).toEqual(ok({ data: [two], next: null }));
  });

  test("holds 100 entries a page where nothing is said, 1000 at most", async () => {
    const entries = Array.from({ length: 1200 }, (_, index) => cacheEntry(`k${index}`));
    const { ask } = api({ results: { entries } });
    expect(await ask("entries?cache=results")).toMatchObject({ body: { next: "k99" } });
    expect(await ask("entries?cache=results&limit=1000")).toMatchObject({ body: { next: "k999" } });
  });

  test.each([
    ["", 'cache is missing; it must be one of "intents", "results".'],
    ["?cache=results&limit=1001", 'limit must be a whole number from 1 to 1000, not "1001".'],
    ["?cache=results&limit=0", 'limit must be a whole number from 1 to 1000, not "0".'],
    ["?cache=results&limit=1e2", 'limit must be a whole number from 1 to 1000, not "1e2".'],
    ["?cache=results&page=2", 'There is no "page" here; there are cache, limit, after, prefix.'],
  ])("refuses %p", async (query, why) => {
    expect(await api().ask(`entries${query}`)).toEqual(refusal(why));
  });
});
