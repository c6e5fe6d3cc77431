// The caches in the hands of an operator: figures, settings, clearing, a look inside. Which cache does what with its
// entries is the cache's own affair (base/cache-control.ts).

import type { Hono } from "hono";
import type { z } from "zod";
import { bytesPerMb } from "../base/cache-bounds.ts";
import type { CacheControl, CacheEntry, CacheSettings, CacheStats } from "../base/cache-control.ts";
import { cacheNames } from "../base/cache-control.ts";
import { readBody, readObject } from "./body.ts";
import type { Understood } from "./cache-questions.ts";
import { clearing as clearingAsked, configChange, pageQuestion, readQuestion } from "./cache-questions.ts";
import { clearCaches } from "./clear-caches.ts";
import type { Door } from "./door.ts";
import { problem } from "./problem.ts";

export interface CacheApiParts extends Pick<Door, "caches" | "clock" | "log" | "onCacheCleared"> {
  readonly intents: Pick<Door["intents"], "archetypes">;
  readonly cluster: Pick<Door["cluster"], "announce">;
}

/** No question about a cache comes near this. */
const bodyLimitBytes = 64_000;

export function addCacheApi(app: Hono, door: CacheApiParts): void {
  app.get("/api/cache/stats", () => answerOfEach(door.caches, (cache) => statsRow(cache.stats())));
  app.get("/api/cache/config", () => settingsOfEach(door.caches));

  app.post("/api/cache/config", async (context) => {
    const change = await readPosted(context.req.raw, configChange, door);
    if (!change.ok) return refused(change.why);
    const { cache: name, enabled, max_entries, max_memory_mb, ttl_seconds } = change.value;
    const cache = door.caches[name];
    const from = cache.settings();
    cache.configure({
      ...(enabled === undefined ? {} : { enabled }),
      ...(max_entries === undefined ? {} : { maxEntries: max_entries }),
      ...(max_memory_mb === undefined ? {} : { maxBytes: Math.round(max_memory_mb * bytesPerMb) }),
      ...(ttl_seconds === undefined ? {} : { ttlMs: Math.round(ttl_seconds * 1000) }),
    });
    door.log.info(
      { cache: name, from: settingsRow(from), to: settingsRow(cache.settings()) },
      "cache settings changed: asked by an operator",
    );
    return settingsOfEach(door.caches);
  });

  app.post("/api/cache/clear", async (context) => {
    const which = await readPosted(context.req.raw, clearingAsked, door);
    if (!which.ok) return refused(which.why);
    const { cache, archetype, prefix, reset_stats: resetStats, local } = which.value;
    if (archetype !== undefined && cache === "results") {
      return refused("Results have no archetype: leave it out, or name the cache intents.");
    }
    // A slip of the pen would otherwise read as "there was nothing to clear".
    if (archetype !== undefined && door.intents.archetypes.named(archetype) === undefined) {
      const known = door.intents.archetypes.all.map(({ name }) => name).join(", ");
      const others = known === "" ? "none is configured" : `there are ${known}`;
      return problem(
        404,
        "Unknown archetype",
        `There is no archetype ${JSON.stringify(archetype)}; ${others}.`,
      );
    }
    const clearing = { cache, archetype, prefix };
    const cleared = clearCaches(door, clearing, resetStats);
    const told = local === true ? 0 : door.cluster.announce(clearing);
    door.log.info({ ...clearing, cleared, told }, "cache cleared: asked by an operator");
    return Response.json({ cleared, told });
  });

  app.get("/api/cache/entries", (context) => {
    const page = readQuestion(pageQuestion, context.req.query());
    if (!page.ok) return refused(page.why);
    const { cache, ...where } = page.value;
    const { entries, next } = door.caches[cache].entries(where);
    return Response.json({ data: entries.map(entryRow), next: next ?? null });
  });
}

const refused = (why: string): Response => problem(400, "Invalid request", why);

const answerOfEach = (caches: Door["caches"], row: (cache: CacheControl) => unknown): Response =>
  Response.json(Object.fromEntries(cacheNames.map((name) => [name, row(caches[name])])));

const settingsOfEach = (caches: Door["caches"]): Response =>
  answerOfEach(caches, (cache) => settingsRow(cache.settings()));

function statsRow(stats: CacheStats) {
  const { hits, misses, joins } = stats;
  const asked = hits + misses + joins;
  return {
    enabled: stats.enabled,
    entries: stats.entries,
    max_entries: stats.maxEntries,
    bytes: stats.bytes,
    max_bytes: stats.maxBytes,
    peak_bytes: stats.peakBytes,
    hits,
    misses,
    stale_hits: stats.staleHits,
    joins,
    evictions: stats.evictions,
    expirations: stats.expirations,
    hit_rate: asked === 0 ? 0 : hits / asked,
  };
}

const settingsRow = ({ enabled, maxEntries, maxBytes, ttlMs }: CacheSettings) => ({
  enabled,
  max_entries: maxEntries,
  max_memory_mb: maxBytes / bytesPerMb,
  ttl_seconds: ttlMs / 1000,
});

const entryRow = ({ key, bytes, ageMs, ttlMs, hits, lastHitMs }: CacheEntry) => ({
  key,
  bytes,
  age_ms: Math.round(ageMs),
  ttl_ms: Math.round(ttlMs),
  hits,
  last_hit_ms: lastHitMs === undefined ? null : Math.round(lastHitMs),
});

/** A body that is not there asks for nothing in particular. */
async function readPosted<Shape extends z.ZodRawShape>(
  request: Request,
  schema: z.ZodObject<Shape>,
  { clock }: CacheApiParts,
): Promise<Understood<z.output<z.ZodObject<Shape>>>> {
  const body = await readBody(request, bodyLimitBytes, clock, Number.POSITIVE_INFINITY);
  if ("code" in body) return { ok: false, why: body.message };
  const parsed = body.length === 0 ? { object: {} } : readObject(body);
  return "code" in parsed ? { ok: false, why: parsed.message } : readQuestion(schema, parsed.object);
}
