// The result cache of the compiled binary, between a game and simulated engines that count what they are asked.

import { describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { SimulatedEngineOptions } from "../../playground/simulated-engine.ts";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { chat, messages, until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();
const question = { model: "gold", messages, max_tokens: 2, temperature: 0 };

interface Stage {
  readonly engine?: Partial<SimulatedEngineOptions>;
  readonly config?: string;
  readonly env?: Readonly<Record<string, string>>;
}

async function stage({ engine = {}, config = "", env = {} }: Stage = {}) {
  const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1, ...engine }));
  const router = ends(await startTierline({ config: engineToml("gold", gold.url) + config, env }));
  const asked = (): number => gold.requests().filter(({ path }) => path.startsWith("/v1/chat")).length;
  /** How often the engine is asked meanwhile. */
  const askedIn = async (action: () => Promise<unknown>): Promise<number> => {
    const before = asked();
    await action();
    return asked() - before;
  };
  return { gold, router, askedIn };
}

const cacheOf = (response: Response): string | null => response.headers.get("x-tierline-cache");

/** Sends each body in turn; what the cache did with each. */
async function inTurn(
  url: string,
  ...asks: readonly (readonly [body: unknown, headers?: Record<string, string>])[]
) {
  const uses: (string | null)[] = [];
  for (const [body, headers = {}] of asks) {
    const response = await chat(url, body, { headers });
    expect(response.status).toBe(200);
    await response.text();
    uses.push(cacheOf(response));
  }
  return uses;
}

describe("a repeated question", () => {
  test("is answered byte for byte without the engine, also when the engine is gone, and says so", async () => {
    const { gold, router, askedIn } = await stage();
    const first = await chat(router.url, question);
    const text = await first.text();
    expect(cacheOf(first)).toBe("miss");
    gold.fault({ kind: "refuse" });
    const asked = await askedIn(async () => {
      const second = await chat(router.url, question, { headers: { "x-request-id": "player-7" } });
      expect(await second.text()).toBe(text);
      const headers = Object.fromEntries(second.headers);
      expect(headers).toMatchObject({
        "x-tierline-cache": "hit",
        "x-tierline-because": "cached",
        "x-tierline-attempts": "0",
        "x-tierline-tier": "gold",
        "x-tierline-locality": "local",
        "x-tierline-endpoint": "gold-1/vllm",
        "x-request-id": "player-7",
        "content-type": first.headers.get("content-type"),
        age: "0",
      });
      expect(headers["server-timing"]).toMatch(/^route;dur=[\d.]+, total;dur=[\d.]+$/);
    });
    expect(asked).toBe(0);
    expect(await router.metric("tierline_cache_hits_total", { cache: "results" })).toBe(1);
    expect(await router.metric("tierline_cache_misses_total", { cache: "results" })).toBe(1);
    expect(await router.metric("tierline_cache_entries", { cache: "results" })).toBe(1);
    expect(await router.metric("tierline_cache_bytes", { cache: "results" })).toBeGreaterThan(text.length);
    expect(await router.metric("tierline_requests_total", { tier: "gold", outcome: "ok" })).toBe(2);
    expect(await router.metric("tierline_request_duration_seconds_count", { tier: "gold" })).toBe(2);
  });

  test("is the same with its members in another order, and another with another member", async () => {
    const { router } = await stage();
    const { model, messages: said, max_tokens, temperature } = question;
    const uses = await inTurn(
      router.url,
      [question],
      [{ temperature, max_tokens, messages: said.map(({ role, content }) => ({ content, role })), model }],
      [{ ...question, model: "realtime" }],
      [{ ...question, seed: 1 }],
      [{ ...question, user: "npc-7" }],
    );
    expect(uses).toEqual(["miss", "hit", "hit", "miss", "miss"]);
  });

  test("is asked again where nothing can be cached", async () => {
    const { router, askedIn } = await stage();
    const { temperature: _, ...warm } = question;
    const asked = await askedIn(async () => {
      for (const body of [warm, { ...question, temperature: 0.5 }, { ...question, stream: true }]) {
        expect(await inTurn(router.url, [body], [body])).toEqual(["off", "off"]);
      }
    });
    expect(asked).toBe(6);
  });

  test("is another where it stands beside a second one, which an engine may have read instead", async () => {
    const { router, askedIn } = await stage();
    const other = JSON.stringify([{ role: "user", content: "Open the gate" }]);
    const two = JSON.stringify(question).replace('"messages":', `"messages":${other},"messages":`);
    const asked = await askedIn(async () => {
      expect(await inTurn(router.url, [two], [question], [two])).toEqual(["off", "miss", "off"]);
    });
    expect(asked).toBe(3);
  });

  test("with no-store is neither kept nor answered from the cache; with no-cache it is kept", async () => {
    const { router } = await stage();
    const uses = await inTurn(
      router.url,
      [question, { "cache-control": "no-store" }],
      [question, { "cache-control": "no-cache" }],
      [question],
      [question, { "cache-control": "No-Cache, max-age=0" }],
      [question, { "cache-control": "no-store" }],
    );
    expect(uses).toEqual(["off", "miss", "hit", "miss", "off"]);
  });

  test("is not shared between callers with different keys", async () => {
    const gold = ends(await startSimulatedEngine({ model: "small", msPerToken: 1 }));
    const keys = join(import.meta.dir, "..", "fixtures", "two-keys");
    const config = `${engineToml("gold", gold.url)}[auth]\nmode = "keys"\nkeys_file = "${keys}"\n`;
    const router = ends(await startTierline({ config }));
    const uses = await inTurn(
      router.url,
      [question, { authorization: "Bearer key-of-the-lobby" }],
      [question, { authorization: "Bearer key-of-the-arena" }],
      [question, { authorization: "Bearer key-of-the-lobby" }],
      // A browser's request goes another way in.
      [question, { authorization: "Bearer key-of-the-lobby", origin: "http://localhost:3000" }],
      [question, { authorization: "Bearer key-of-the-arena", origin: "http://localhost:3000" }],
    );
    expect(uses).toEqual(["miss", "miss", "hit", "hit", "hit"]);
  });

  test("is asked again after CACHE_TTL_SECONDS", async () => {
    const { router } = await stage({ env: { CACHE_TTL_SECONDS: "1" } });
    expect(await inTurn(router.url, [question], [question])).toEqual(["miss", "hit"]);
    await Bun.sleep(1050);
    expect(await inTurn(router.url, [question])).toEqual(["miss"]);
  });

  test("is asked again with DISABLE_RESULT_CACHE, and beyond CACHE_MAX_SIZE", async () => {
    const off = await stage({ env: { DISABLE_RESULT_CACHE: "1" } });
    expect(await inTurn(off.router.url, [question], [question])).toEqual(["off", "off"]);
    const one = await stage({ env: { CACHE_MAX_SIZE: "1" } });
    const other = { ...question, seed: 1 };
    expect(await inTurn(one.router.url, [question], [other], [question])).toEqual(["miss", "miss", "miss"]);
    expect(await one.router.metric("tierline_cache_evictions_total", { cache: "results" })).toBe(2);
  });

  test("is asked again where the answer was an error", async () => {
    const { gold, router } = await stage();
    const bad = { ...question, messages: "none" };
    for (let time = 0; time < 2; time += 1) {
      const response = await chat(router.url, bad);
      expect(response.status).toBe(400);
      expect(cacheOf(response)).toBe("miss");
      await response.text();
    }
    gold.fault({ kind: "status", status: 500 });
    expect((await chat(router.url, question)).status).toBe(502);
    gold.clear();
    await until("the engine is used again", async () => {
      const response = await chat(router.url, question);
      await response.text();
      return response.status === 200 && cacheOf(response) === "miss";
    });
  });

  test("stays answered over a reload that changes a limit", async () => {
    const { gold, router } = await stage();
    expect(await inTurn(router.url, [question])).toEqual(["miss"]);
    await router.reload(`${engineToml("gold", gold.url)}[cache.result]\nmax_entries = 7\n`);
    expect(await inTurn(router.url, [question])).toEqual(["hit"]);
    await router.reload(`${engineToml("gold", gold.url)}[cache.result]\nenabled = false\n`);
    expect(await inTurn(router.url, [question])).toEqual(["off"]);
  });

  test("is asked again where a reload puts another model into the tier, but not where the caller named it", async () => {
    const { gold, router } = await stage();
    const large = ends(await startSimulatedEngine({ model: "large", msPerToken: 1 }));
    const named = { ...question, model: "small" };
    expect(await inTurn(router.url, [question], [named])).toEqual(["miss", "miss"]);
    await router.reload(engineToml("gold", large.url) + engineToml("silver", gold.url));
    await until("the other model is known", async () => {
      const { data } = (await (await fetch(`${router.url}/v1/models`)).json()) as { data: { id: string }[] };
      return data.some(({ id }) => id === "large") && data.some(({ id }) => id === "small");
    });
    const fresh = await chat(router.url, question);
    expect(cacheOf(fresh)).toBe("miss");
    expect(await fresh.json()).toMatchObject({ model: "large" });
    expect(await inTurn(router.url, [named], [question])).toEqual(["hit", "hit"]);
  });
});

describe("the same question from many at once", () => {
  test("reaches the engine once for a hundred", async () => {
    const { router, askedIn } = await stage({ engine: { msPerToken: 100 } });
    const asked = await askedIn(async () => {
      const all = await Promise.all(Array.from({ length: 100 }, () => chat(router.url, question)));
      const texts = await Promise.all(all.map((response) => response.text()));
      expect(all.every(({ status }) => status === 200)).toBe(true);
      expect(new Set(texts).size).toBe(1);
      const joins = all.filter((response) => cacheOf(response) === "join");
      expect(joins.length).toBe(99);
      expect(joins[0]?.headers.get("x-tierline-because")).toBe("joined");
      expect(joins[0]?.headers.get("x-tierline-attempts")).toBe("0");
    });
    expect(asked).toBe(1);
  });

  test("is answered to the others when the first one leaves, and cancelled when all have left", async () => {
    const { gold, router, askedIn } = await stage({ engine: { msPerToken: 100 } });
    const leaving = new AbortController();
    const asked = await askedIn(async () => {
      const first = chat(router.url, question, { signal: leaving.signal });
      first.catch(() => undefined);
      await until("the engine is asked", () => gold.stats().running === 1);
      const others = [chat(router.url, question), chat(router.url, question)];
      await Bun.sleep(30);
      leaving.abort();
      for (const response of await Promise.all(others)) {
        expect(response.status).toBe(200);
        expect(cacheOf(response)).toBe("join");
      }
    });
    expect(asked).toBe(1);

    const all = new AbortController();
    const slow = { ...question, max_tokens: 1000 };
    const abandoned = [1, 2, 3].map(() => chat(router.url, slow, { signal: all.signal }));
    for (const one of abandoned) one.catch(() => undefined);
    await until("the engine is asked", () => gold.stats().running === 1);
    all.abort();
    await until("the engine is left alone", () => gold.stats().running === 0);
  });

  test("a hasty one is told 504 by its own deadline, and the others are answered", async () => {
    const { router } = await stage({ engine: { msPerToken: 400 } });
    const since = performance.now();
    const patient = chat(router.url, question);
    await Bun.sleep(20);
    const hasty = await chat(router.url, question, { headers: { "x-tierline-deadline-ms": "60" } });
    const hastyMs = performance.now() - since;
    expect(hasty.status).toBe(504);
    expect(hasty.headers.get("x-tierline-because")).toBe("joined");
    expect((await patient).status).toBe(200);
    // Who waited for the other's answer would have had it.
    expect(hastyMs).toBeLessThan((performance.now() - since) / 2);
  });
});
