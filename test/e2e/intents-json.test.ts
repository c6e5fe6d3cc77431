// NPC intents as JSON, over the compiled binary: what an item may be, what is answered, what is refused.

import { describe, expect, test } from "bun:test";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { until } from "../support/chat.ts";
import { cleanup } from "../support/cleanup.ts";
import { archetypesOf, askBatch, askOne, guardToml, postItems } from "../support/intent-client.ts";
import { keysFile } from "../support/keys-file.ts";
import { openAiErrorOf } from "../support/openai-error.ts";
import { engineToml, startTierline } from "../support/tierline.ts";

const ends = cleanup();

/** A deadline that a loaded machine can meet. */
const patient = "[intents]\ndeadline_ms = 5000\n";

async function house(intents = patient, more = "", engine = { msPerToken: 1 }) {
  const gold = ends(await startSimulatedEngine({ model: "small", ...engine }));
  const config = engineToml("gold", gold.url) + more + intents + guardToml;
  return { gold, config, router: ends(await startTierline({ config })) };
}

const foggy = {
  archetype: "guard",
  npc: 17,
  features: { threat: 0.7, player_distance: 4, alerted: true, weather: "fog" },
};

describe("an item", () => {
  test("is answered by the engine, then fresh, then stale while a new answer is fetched, then fresh again", async () => {
    const { router } = await house(`${patient}ttl_ms = 300\nstale_ms = 60000\n`);
    const first = await askOne(router.url, foggy);
    // The documentation's own example: 2 + 4 * (1 + 5 * (1 + 2 * 2)).
    expect(first).toMatchObject({ npc: 17, source: "engine", age_ms: 0, situation: 106 });
    const { archetypes } = await archetypesOf(router.url);
    expect(archetypes[0]?.actions[first.action]).toBe(first.intent);
    expect(first.confidence).toBeGreaterThan(0);
    expect(first.confidence).toBeLessThanOrEqual(1);
    const { source, action, age_ms, ttl_ms } = await askOne(router.url, foggy);
    // On a machine that stops for a third of a second it is stale by now.
    expect(["fresh", "stale"]).toContain(source);
    expect(action).toBe(first.action);
    if (source === "fresh") expect(Math.abs(age_ms + ttl_ms - 300)).toBeLessThanOrEqual(1);

    await Bun.sleep(350);
    const late = await askOne(router.url, foggy);
    expect(late).toMatchObject({ source: "stale", intent: first.intent, ttl_ms: 0 });
    expect(late.age_ms).toBeGreaterThan(300);
    await until("it is fresh again", async () => (await askOne(router.url, foggy)).source === "fresh");
  });

  test("gets the default at the deadline where the engine is late, and the late answer is kept for the next", async () => {
    const { router } = await house("[intents]\ndeadline_ms = 14\nttl_ms = 60000\n", "", { msPerToken: 300 });
    expect(await askOne(router.url, foggy)).toEqual({
      npc: 17,
      intent: "patrol",
      action: 0,
      confidence: 0,
      source: "default",
      age_ms: 0,
      ttl_ms: 0,
      situation: 106,
    });
    await until("it is known", async () => (await askOne(router.url, foggy)).source === "fresh");
  });

  test("with deadline_ms 0 waits for nobody, and is known soon after", async () => {
    const { router, gold } = await house(`${patient}ttl_ms = 60000\n`);
    expect((await askOne(router.url, { ...foggy, deadline_ms: 0 })).source).toBe("default");
    await until(
      "it is known",
      async () => (await askOne(router.url, { ...foggy, deadline_ms: 0 })).source === "fresh",
    );
    expect(gold.requests().filter(({ body }) => body.includes("weather: fog"))).toHaveLength(1);
  });

  test("may ask for more time than is configured, and is given no more than ten seconds", async () => {
    const { router } = await house("[intents]\ndeadline_ms = 1\n", "", { msPerToken: 100 });
    expect((await askOne(router.url, { ...foggy, deadline_ms: 1e300 })).source).toBe("engine");
  });

  test("is echoed its npc as it came, a number or a string, or none", async () => {
    const { router } = await house();
    const npcs = [17, 0, -3, 2.5, 2 ** 53 - 1, "17", "", 'guard "Bob"\n', "衛兵", "__proto__"];
    const answers = await askBatch(
      router.url,
      npcs.map((npc) => ({ ...foggy, npc })),
    );
    expect(answers.map(({ npc }) => npc)).toEqual(npcs);
    expect(await askOne(router.url, { archetype: "guard" })).not.toHaveProperty("npc");
  });

  test("with explain shows its buckets and the prompt, a missing feature in its lowest bucket", async () => {
    const { router } = await house();
    const full = await askOne(router.url, { ...foggy, explain: true });
    expect(full.buckets).toEqual({ threat: 2, player_distance: 1, alerted: 1, weather: 2 });
    for (const line of ["A: patrol", "F: call_help", "threat: 0.5 to 0.8", "alerted: yes", "weather: fog"]) {
      expect(full.prompt?.split("\n")).toContain(line);
    }
    const bare = await askOne(router.url, { archetype: "guard", npc: 1, explain: true });
    expect(bare.situation).toBe(0);
    expect(bare.buckets).toEqual({ threat: 0, player_distance: 0, alerted: 0, weather: 0 });
    const plain = await askOne(router.url, foggy);
    expect(plain).not.toHaveProperty("buckets");
    expect(plain).not.toHaveProperty("prompt");
  });

  test("on an edge is in the bucket above it", async () => {
    const { router } = await house();
    const buckets = await Promise.all(
      [0.19, 0.2, 0.8, -1e9, 1e9].map(async (threat) => {
        const item = { archetype: "guard", npc: 1, features: { threat }, explain: true };
        return (await askOne(router.url, item)).buckets?.["threat"];
      }),
    );
    expect(buckets).toEqual([0, 1, 3, 0, 3]);
  });
});

describe("a batch", () => {
  test("answers each item in its place, what is wrong with one is that item's error", async () => {
    const { router } = await house();
    const wrong: [unknown, string][] = [
      [{ archetype: "ghost", npc: 17 }, "unknown_archetype"],
      [{ archetype: "constructor", npc: 17 }, "unknown_archetype"],
      [{ npc: 17 }, "invalid_request"],
      [{ archetype: "guard", npc: 17, features: { mood: 1 } }, "unknown_feature"],
      [{ archetype: "guard", npc: 17, features: { threat: "high" } }, "invalid_feature"],
      [{ archetype: "guard", npc: 17, features: { threat: null } }, "invalid_feature"],
      [{ archetype: "guard", npc: 17, features: { alerted: 1 } }, "invalid_feature"],
      [{ archetype: "guard", npc: 17, features: { weather: "snow" } }, "invalid_feature"],
      [{ archetype: "guard", npc: 17, features: [] }, "invalid_request"],
      [{ archetype: "guard", npc: 17, deadline_ms: -1 }, "invalid_request"],
      [{ archetype: "guard", npc: 17, deadline_ms: "12" }, "invalid_request"],
    ];
    const items = wrong.flatMap(([item]) => [item, { ...foggy, npc: "good" }]);
    const response = await postItems(router.url, { items });
    expect(response.status).toBe(200);
    const { items: answers } = JSON.parse(await response.text());
    expect(answers).toHaveLength(items.length);
    for (const [index, [, code]] of wrong.entries()) {
      expect(answers[2 * index]).toMatchObject({ npc: 17, error: { code } });
      expect(answers[2 * index].error.message.length).toBeGreaterThan(10);
      expect(answers[2 * index]).not.toHaveProperty("intent");
      expect(answers[2 * index + 1]).toMatchObject({ npc: "good", situation: 106 });
    }
    for (const item of [null, 5, "guard", []]) {
      const [answer] = JSON.parse(await (await postItems(router.url, { items: [item] })).text()).items;
      expect(answer).toMatchObject({ error: { code: "invalid_request" } });
    }
  });

  test("holds 0 to 1024 items, and a single wrong item is its error too", async () => {
    const { router } = await house();
    expect(await askBatch(router.url, [])).toEqual([]);
    const most = await askBatch(router.url, Array<object>(1024).fill(foggy));
    expect(new Set(most.map(({ action }) => action)).size).toBe(1);
    const tooMany = await postItems(router.url, { items: Array<object>(1025).fill(foggy) });
    expect(tooMany.status).toBe(400);
    expect((await openAiErrorOf(tooMany)).message).toContain("1024");
    const single = await postItems(router.url, { archetype: "ghost", npc: 3 });
    expect(single.status).toBe(200);
    expect(await single.json()).toMatchObject({ npc: 3, error: { code: "unknown_archetype" } });
  });
});

describe("an envelope", () => {
  const unreadable: [string, number, string][] = [
    ["{", 400, "invalid_request"],
    ["", 400, "invalid_request"],
    ["[]", 400, "invalid_request"],
    ["null", 400, "invalid_request"],
    ['{"items":{}}', 400, "invalid_request"],
    ['{"items":null}', 400, "invalid_request"],
    ['{"items":[],"explain":1}', 400, "invalid_request"],
    [JSON.stringify({ items: [], pad: "x".repeat(20_000) }), 413, "request_too_large"],
  ];
  test("that cannot be read is refused with a reason and an id, and the next one is answered", async () => {
    const { router } = await house(patient, '[limits]\nbody_bytes = "16kB"\n');
    for (const [body, status, code] of unreadable) {
      const response = await postItems(router.url, body, { "x-request-id": "player-7" });
      expect([body.slice(0, 30), response.status]).toEqual([body.slice(0, 30), status]);
      expect(response.headers.get("x-request-id")).toBe("player-7");
      expect((await openAiErrorOf(response)).code).toBe(code);
      expect((await askOne(router.url, foggy)).situation).toBe(106);
    }
  });

  test("by another method is 405 with Allow", async () => {
    const { router } = await house();
    for (const [path, method, allow] of [
      ["intents", "GET", "POST"],
      ["intents", "PUT", "POST"],
      ["archetypes", "POST", "GET, HEAD"],
    ] as const) {
      const response = await fetch(`${router.url}/v1/npc/${path}`, { method });
      expect(response.status).toBe(405);
      expect(response.headers.get("allow")).toBe(allow);
      expect((await openAiErrorOf(response)).code).toBe("method_not_allowed");
    }
  });
});

test("with keys, whoever has none is told 401 at every npc path, whoever has one is answered", async () => {
  const auth = ends(keysFile("lobby:sk-one")).toml;
  const { router } = await house(patient, auth);
  const asks = [
    (headers: Record<string, string>) => postItems(router.url, foggy, headers),
    (headers: Record<string, string>) => fetch(`${router.url}/v1/npc/archetypes`, { headers }),
  ];
  for (const ask of asks) {
    for (const headers of [{}, { authorization: "Bearer sk-two" }]) {
      const refused = await ask(headers);
      expect(refused.status).toBe(401);
      expect((await openAiErrorOf(refused)).code).toBe("invalid_api_key");
    }
    expect((await ask({ authorization: "Bearer sk-one" })).status).toBe(200);
  }
});

test("a page of a configured origin may ask, preflight and all, and no other may read the answer", async () => {
  const { router } = await house(patient, '[cors]\norigins = ["https://game.example"]\n');
  const preflight = (origin: string) =>
    fetch(`${router.url}/v1/npc/intents`, {
      method: "OPTIONS",
      headers: {
        origin,
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type,authorization",
      },
    });
  const allowed = await preflight("https://game.example");
  expect(allowed.status).toBe(204);
  expect(allowed.headers.get("access-control-allow-origin")).toBe("https://game.example");
  expect(allowed.headers.get("access-control-allow-methods")).toContain("POST");
  expect(allowed.headers.get("access-control-allow-headers")).toContain("content-type");
  const asked = await postItems(router.url, foggy, { origin: "https://game.example" });
  expect(asked.status).toBe(200);
  expect(asked.headers.get("access-control-allow-origin")).toBe("https://game.example");
  expect((await preflight("https://evil.example")).headers.get("access-control-allow-origin")).toBeNull();
  const foreign = await postItems(router.url, foggy, { origin: "https://evil.example" });
  expect(foreign.headers.get("access-control-allow-origin")).toBeNull();
});

describe("the archetypes", () => {
  test("are listed with everything a client of frames must know", async () => {
    const { router } = await house("[intents]\nttl_ms = 700\nstale_ms = 900\n");
    const { epoch, archetypes } = await archetypesOf(router.url);
    expect(Number.isInteger(epoch) && epoch >= 0 && epoch < 2 ** 32).toBe(true);
    expect(archetypes).toEqual([
      {
        id: 0,
        name: "guard",
        actions: ["patrol", "investigate", "attack", "take_cover", "flee", "call_help"],
        default: "patrol",
        ttl_ms: 700,
        stale_ms: 900,
        features: [
          { name: "threat", kind: "buckets", radix: 4, buckets: [0.2, 0.5, 0.8] },
          { name: "player_distance", kind: "buckets", radix: 5, buckets: [2, 5, 10, 20], unit: "m" },
          { name: "alerted", kind: "bool", radix: 2 },
          { name: "weather", kind: "oneof", radix: 3, oneof: ["clear", "rain", "fog"] },
        ],
      },
    ]);
  });

  test("keep their epoch over a reload and a restart that change nothing, and change it with the actions", async () => {
    const { router, config } = await house();
    const { epoch } = await archetypesOf(router.url);
    const reloaded = async (text: string): Promise<number> => {
      await router.reload(text);
      return (await archetypesOf(router.url)).epoch;
    };
    expect(await reloaded(config)).toBe(epoch);
    expect(await reloaded(`# Only words.\n${config}`)).toBe(epoch);
    const other = await reloaded(config.replace('"flee", "call_help"', '"call_help", "flee"'));
    expect(other).not.toBe(epoch);
    expect(await reloaded(config)).toBe(epoch);
    const again = ends(await startTierline({ config }));
    expect((await archetypesOf(again.url)).epoch).toBe(epoch);
  });

  test("are none where none is configured, and an item says so", async () => {
    const router = ends(await startTierline());
    expect((await archetypesOf(router.url)).archetypes).toEqual([]);
    expect((await askOne(router.url, foggy)).error?.code).toBe("unknown_archetype");
  });
});
