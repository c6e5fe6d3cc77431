import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { loadConfig } from "../../src/config/load.ts";
import { problemText } from "../../src/config/problem.ts";
import { intentRefusals } from "./intent-refusals.cases.ts";
import { complaints, engine, gold1, loadText } from "./load-text.ts";
import { refusals, warnings } from "./refusals.cases.ts";

describe("loadConfig refuses", () => {
  test.each([...refusals, ...intentRefusals].map((refusal) => [refusal.situation, refusal] as const))(
    "%s",
    (_, refusal) => {
      expect(loadText(refusal.text, refusal).ok).toBe(false);
      expect(complaints(refusal.text, refusal)).toEqual([...refusal.says]);
    },
  );
});

describe("loadConfig accepts with a warning", () => {
  test.each(warnings.map((warning) => [warning.situation, warning] as const))("%s", (_, warning) => {
    expect(loadText(warning.text, warning).ok).toBe(true);
    expect(complaints(warning.text, warning)).toEqual([...warning.says]);
  });
});

describe("loadConfig", () => {
  test("without a file has the documented defaults", () => {
    const loaded = loadText(undefined);
    expect(loaded).toMatchObject({
      ok: true,
      file: undefined,
      config: {
        host: { name: "gold-1" },
        listen: { public: { host: "127.0.0.1", port: 8010 }, admin: { host: "127.0.0.1", port: 8011 } },
        auth: { mode: "none", keys: [], rules: new Map() },
        limits: { bodyBytes: 4_000_000 },
        log: { level: "info" },
        metrics: { public: true },
        cors: { origins: ["http://localhost:3000"] },
        engines: [],
        sla: {
          realtime: { ladder: ["gold", "silver", "bronze"], firstByteMs: 250, totalMs: 2000 },
          interactive: { ladder: ["silver", "gold", "bronze"], firstByteMs: 2000, totalMs: 120_000 },
          async: { ladder: ["bronze"] },
        },
        tiers: {
          gold: { targetP95Ms: 16, balancer: "least-pressure" },
          silver: { targetP95Ms: 250, balancer: "least-pressure" },
        },
        intents: {
          deadlineMs: 14,
          maxEntries: 1_000_000,
          maxBytes: 256_000_000,
          engineShare: 0.5,
          archetypes: [],
        },
        cache: { result: { enabled: true, ttlMs: 60_000, maxEntries: 1000, maxBytes: 512_000_000 } },
        state: { dir: "./.tierline" },
        drain: { deadlineMs: 8000 },
      },
    });
  });

  test("reads every kind of setting from the file", () => {
    const text = `${engine}name = "small"
models = ["qwen", "llama"]
max_concurrent = 8
max_queue = 0
api_key_file = "/engine-key"
[listen]
public = "0.0.0.0:0"
admin = "[::]:9000"
[auth]
mode = "keys"
keys_file = "/keys"
admin_token_file = "/token"
[auth.key.lobby]
sla = ["realtime", "interactive"]
requests_per_second = 200
[auth.key.ci]
requests_per_second = 0.1
[limits]
body_bytes = "64KiB"
[metrics]
public = false
[tls]
cert_file = "/cert"
key_file = "/key"
[cors]
origins = ["*"]
[aliases]
"gpt-4.1" = { tier = "gold", model = "qwen", sla = "interactive" }
`;
    const files = {
      "/engine-key": "sk-engine\n",
      "/keys": "# callers\nlobby:k1\r\n\nci:k:2\n",
      "/token": "t0ken\n",
      "/cert": "-----BEGIN CERTIFICATE-----",
      "/key": "-----BEGIN PRIVATE KEY-----",
    };
    const loaded = loadText(text, { files });
    if (!loaded.ok) throw new Error(loaded.errors.map(problemText).join("\n"));
    expect(loaded.warnings).toEqual([]);
    expect(loaded.config).toMatchObject({
      listen: { public: { host: "0.0.0.0", port: 0 }, admin: { host: "::", port: 9000 } },
      auth: {
        mode: "keys",
        adminToken: "t0ken",
        keys: [
          { name: "lobby", key: "k1" },
          { name: "ci", key: "k:2" },
        ],
        rules: new Map([
          ["lobby", { sla: ["realtime", "interactive"], rate: { perSecond: 200, burst: 200 } }],
          ["ci", { rate: { perSecond: 0.1, burst: 1 } }],
        ]),
      },
      limits: { bodyBytes: 65_536 },
      metrics: { public: false },
      tls: { cert: files["/cert"], key: files["/key"] },
      cors: { origins: ["*"] },
      engines: [
        {
          name: "small",
          tier: "gold",
          kind: "vllm",
          url: "http://127.0.0.1:8000",
          models: ["qwen", "llama"],
          maxConcurrent: 8,
          maxQueue: 0,
          apiKey: "sk-engine",
        },
      ],
    });
    expect(loaded.config.aliases).toEqual(
      new Map([["gpt-4.1", { tier: "gold", model: "qwen", sla: "interactive" }]]),
    );
  });

  test("names an engine after its kind, and counts on where the name is taken", () => {
    const named = engine.replace("8000", "8003").replace("[[engine]]", '[[engine]]\nname = "vllm-2"');
    const other = engine.replace("vllm", "llama-cpp").replace("8000", "8004");
    const loaded = loadText(`${engine}${engine.replace("8000", "8001")}${named}${other}`);
    expect(loaded.ok && loaded.config.engines.map(({ name }) => name)).toEqual([
      "vllm",
      "vllm-3",
      "vllm-2",
      "llama-cpp",
    ]);
  });

  test("lets the environment win over the file, and a flag over both", () => {
    const text = '[listen]\npublic = "127.0.0.1:1"\nadmin = "127.0.0.1:2"\n[host]\nname = "a"\n';
    const env = { TIERLINE_LISTEN_PUBLIC: "127.0.0.1:3", TIERLINE_LISTEN_ADMIN: "127.0.0.1:4" };
    const loaded = loadText(text, { env, flags: { public: "127.0.0.1:5" } });
    if (!loaded.ok) throw new Error("refused");
    expect(loaded.config.listen.public.port).toBe(5);
    expect(loaded.config.listen.admin.port).toBe(4);
    const origins = new Map(loaded.origins.map(({ path, origin }) => [path.join("."), origin]));
    expect(origins.get("listen.public")).toBe("flag");
    expect(origins.get("listen.admin")).toBe("env TIERLINE_LISTEN_ADMIN");
    expect(origins.get("host.name")).toBe("file:5");
    expect(origins.get("log.level")).toBe("default");
  });

  test("reads numbers, switches, names and lists from the environment", () => {
    const env = {
      TIERLINE_SLA_REALTIME_TOTAL_MS: "900",
      TIERLINE_TIER_GOLD_BALANCER: "p2c",
      TIERLINE_METRICS_PUBLIC: "false",
      TIERLINE_LIMITS_BODY_BYTES: "2048",
      TIERLINE_CORS_ORIGINS: "http://a.example, https://b.example:8443",
      TIERLINE_HOST_NAME: "",
      STATE_DIRECTORY: "/var/lib/tierline:/var/lib/other",
    };
    expect(loadText(undefined, { env })).toMatchObject({
      ok: true,
      config: {
        host: { name: "gold-1" },
        sla: { realtime: { firstByteMs: 250, totalMs: 900 } },
        tiers: { gold: { balancer: "p2c" } },
        metrics: { public: false },
        limits: { bodyBytes: 2048 },
        cors: { origins: ["http://a.example", "https://b.example:8443"] },
        state: { dir: "/var/lib/tierline" },
      },
    });
  });

  test("reads archetypes, their features in the file's order, and lets each keep its own times", () => {
    const text = `${engine}
[intents]
deadline_ms = 8
ttl_ms = 2000
max_entries = 50
max_bytes = "1MB"
engine_share = 0.25
[intents.archetype.guard]
prompt = """
A castle guard.
Keeps the gate."""
actions = ["patrol", "take cover"]
default = "patrol"
pick = "sample"
temperature = 0.7
model = "gold"
stale_ms = 0
[intents.archetype.guard.feature]
weather = { oneof = ["clear", "rain"] }
alerted = { bool = true }
threat = { buckets = [-0.5, 0, 1e3], unit = "points" }
[intents.archetype.guard.feature.far]
buckets = [2]
[intents.archetype.cat]
prompt = "A cat."
actions = ["sleep"]
default = "sleep"
ttl_ms = 60_000
`;
    const loaded = loadText(text);
    if (!loaded.ok) throw new Error(loaded.errors.map(problemText).join("\n"));
    expect(loaded.warnings).toEqual([]);
    expect(loaded.config.intents).toEqual({
      deadlineMs: 8,
      maxEntries: 50,
      maxBytes: 1_000_000,
      engineShare: 0.25,
      archetypes: [
        {
          name: "guard",
          prompt: "A castle guard.\nKeeps the gate.",
          actions: ["patrol", "take cover"],
          defaultAction: "patrol",
          pick: "sample",
          temperature: 0.7,
          model: "gold",
          ttlMs: 2000,
          staleMs: 0,
          features: [
            { kind: "oneof", name: "weather", values: ["clear", "rain"] },
            { kind: "bool", name: "alerted" },
            { kind: "buckets", name: "threat", edges: [-0.5, 0, 1000], unit: "points" },
            { kind: "buckets", name: "far", edges: [2], unit: undefined },
          ],
        },
        {
          name: "cat",
          prompt: "A cat.",
          actions: ["sleep"],
          defaultAction: "sleep",
          pick: "best",
          temperature: 0,
          model: undefined,
          ttlMs: 60_000,
          staleMs: 10_000,
          features: [],
        },
      ],
    });
  });

  test("takes situations up to the last that a number can name", () => {
    const edges = Array.from({ length: 255 }, (_, edge) => edge).join(", ");
    const features = Array.from({ length: 6 }, (_, n) => `f${n} = { buckets = [${edges}] }\n`).join("");
    const bools = Array.from({ length: 5 }, (_, n) => `b${n} = { bool = true }\n`).join("");
    const text = `[intents.archetype.a]
prompt = "x"
actions = ["x"]
default = "x"
[intents.archetype.a.feature]
${features}${bools}`;
    expect(loadText(text).ok).toBe(true);
  });

  const oldNames = {
    DISABLE_RESULT_CACHE: "1",
    CACHE_MAX_SIZE: "20",
    CACHE_MAX_MEMORY_MB: "1.5",
    CACHE_TTL_SECONDS: "30",
  };
  const resultCacheOf = (text: string, env: Record<string, string>) => {
    const loaded = loadText(text, { env });
    return loaded.ok ? loaded.config.cache.result : loaded.errors;
  };

  test("lets the result cache's older variables win over the file", () => {
    const text = "[cache.result]\nenabled = true\nttl_seconds = 5\nmax_entries = 7\nmax_memory_mb = 9\n";
    expect(resultCacheOf(text, {})).toEqual({
      enabled: true,
      ttlMs: 5000,
      maxEntries: 7,
      maxBytes: 9_000_000,
    });
    expect(resultCacheOf(text, oldNames)).toEqual({
      enabled: false,
      ttlMs: 30_000,
      maxEntries: 20,
      maxBytes: 1_500_000,
    });
  });

  test("lets TIERLINE_ variables win over the older ones", () => {
    const env = {
      TIERLINE_CACHE_RESULT_ENABLED: "true",
      TIERLINE_CACHE_RESULT_MAX_ENTRIES: "21",
      TIERLINE_CACHE_RESULT_MAX_MEMORY_MB: "3",
      TIERLINE_CACHE_RESULT_TTL_SECONDS: "31",
      ...oldNames,
    };
    expect(resultCacheOf("", env)).toEqual({
      enabled: true,
      ttlMs: 31_000,
      maxEntries: 21,
      maxBytes: 3_000_000,
    });
  });

  test.each([
    ["true", false],
    ["YES", false],
    ["1", false],
    ["false", true],
    ["no", true],
    ["0", true],
    ["", true],
  ])("reads DISABLE_RESULT_CACHE=%s as enabled: %p", (written, enabled) => {
    expect(resultCacheOf("", { DISABLE_RESULT_CACHE: written })).toMatchObject({ enabled });
  });

  test("shortens an unwritten first byte to a shorter whole", () => {
    const loaded = loadText("[sla.realtime]\ntotal_ms = 100\n");
    expect(loaded.ok && loaded.config.sla.realtime.firstByteMs).toBe(100);
  });

  test("finds the keys that systemd hands over", () => {
    const env = { CREDENTIALS_DIRECTORY: "/run/credentials" };
    const loaded = loadText('[auth]\nmode = "keys"\n', { env, files: { "/run/credentials/keys": "ci:k" } });
    expect(loaded.ok && loaded.config.auth.keys).toEqual([{ name: "ci", key: "k" }]);
  });

  test("refuses a named file that is missing, and says who named it", () => {
    const readFile = () => {
      throw Object.assign(new Error(), { code: "ENOENT" });
    };
    const refused = (path: string | undefined, env: Record<string, string>) => {
      const loaded = loadConfig({ path, env, readFile, machine: gold1 });
      return loaded.ok ? [] : loaded.errors.map(problemText);
    };
    const hint = (by: string) =>
      `the configuration file does not exist\n  it is named by ${by}; make it, or name another`;
    expect(refused("/a", {})).toEqual([`/a: ${hint("the command line")}`]);
    expect(refused(undefined, { TIERLINE_CONFIG: "/b" })).toEqual([`/b: ${hint("$TIERLINE_CONFIG")}`]);
    expect(refused(undefined, {})).toEqual([]);
  });

  test("answers any text with a configuration or with errors, and never throws", () => {
    const word = fc.constantFrom(
      "[",
      "]",
      "[[engine]]",
      "engine",
      "=",
      '"gold"',
      "tier",
      "\n",
      ".",
      "{",
      "}",
      "5",
      ",",
    );
    const line = fc.oneof(
      fc.string(),
      fc.array(word).map((words) => words.join("")),
    );
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const loaded = loadText(lines.join("\n"));
        expect(loaded.ok || loaded.errors.length > 0).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});
