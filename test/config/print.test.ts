import { describe, expect, test } from "bun:test";
import { defaultSettings } from "../../src/config/effective.ts";
import { toJson, toToml } from "../../src/config/print.ts";
import { engine, gold1, loadText } from "./load-text.ts";

const text = `${engine}models = ["a", "b"]
[aliases]
"gpt-4.1" = { tier = "gold" }
[auth]
mode = "keys"
keys_file = "/keys"
[intents.archetype.guard]
prompt = "A \\"castle\\" guard.\\nKeeps the gate."
actions = ["patrol", "flee"]
default = "patrol"
[intents.archetype.guard.feature]
weather = { oneof = ["clear", "rain"] }
alerted = { bool = true }
threat = { buckets = [0.25, 1e3], unit = "m" }
[intents.archetype.cat]
prompt = "A cat."
actions = ["sleep"]
default = "sleep"
`;

const loaded = () => {
  const result = loadText(text, {
    env: { TIERLINE_SLA_REALTIME_TOTAL_MS: "900", CACHE_MAX_SIZE: "70", DISABLE_RESULT_CACHE: "1" },
    flags: { public: "127.0.0.1:0" },
    files: { "/keys": "ci:top-secret" },
  });
  if (!result.ok) throw new Error("refused");
  return result;
};

describe("toToml", () => {
  test("writes each value with its origin", () => {
    const lines = toToml(loaded().origins).split("\n");
    expect(lines).toContain('public = "127.0.0.1:0" # flag');
    expect(lines).toContain('admin = "127.0.0.1:8011" # default');
    expect(lines).toContain("total_ms = 900 # env TIERLINE_SLA_REALTIME_TOTAL_MS");
    expect(lines).toContain('models = ["a", "b"] # file:5');
    expect(lines).toContain('[aliases."gpt-4.1"]');
    expect(lines).toContain('tier = "gold" # file:7');
    expect(lines).toContain("# cert_file: not set (plain HTTP)");
  });

  test("names the variable that set a value, be it the older one", () => {
    const lines = toToml(loaded().origins).split("\n");
    expect(lines).toContain("max_entries = 70 # env CACHE_MAX_SIZE");
    expect(lines).toContain("enabled = false # env DISABLE_RESULT_CACHE");
  });

  test("keeps archetypes with their features, both in the file's order", () => {
    const headers = toToml(loaded().origins)
      .split("\n")
      .filter((line) => line.startsWith("[intents"));
    expect(headers).toEqual([
      "[intents]",
      "[intents.archetype.guard]",
      "[intents.archetype.guard.feature.weather]",
      "[intents.archetype.guard.feature.alerted]",
      "[intents.archetype.guard.feature.threat]",
      "[intents.archetype.cat]",
    ]);
    expect(toToml(loaded().origins)).toContain(
      '[intents.archetype.guard.feature.threat]\nbuckets = [0.25, 1000] # file:18\nunit = "m" # file:18\n\n',
    );
  });

  test("gives every value one of the four origins", () => {
    const values = toToml(loaded().origins)
      .split("\n")
      .filter((line) => line.includes(" = "));
    expect(values.length).toBeGreaterThan(30);
    for (const line of values) expect(line).toMatch(/ # (default|flag|file:\d+|env [A-Z0-9_]+)$/);
  });

  test("writes a file that means the same when it is read in again", () => {
    const first = loaded();
    const again = loadText(toToml(first.origins), { files: { "/keys": "ci:top-secret" } });
    expect(again.ok && again.config).toEqual(first.config);
  });

  test("shows no key", () => {
    expect(toToml(loaded().origins)).not.toContain("top-secret");
  });

  test("writes the defaults as a file that means the defaults", () => {
    const again = loadText(toToml(defaultSettings(gold1)));
    const none = loadText(undefined);
    if (!again.ok || !none.ok) throw new Error("refused");
    expect(again.config).toEqual(none.config);
  });
});

test("toJson keeps the file's shape, with a value and an origin for each setting", () => {
  const json = JSON.parse(JSON.stringify(toJson(loaded().origins)));
  expect(json.listen.public).toEqual({ value: "127.0.0.1:0", origin: "flag" });
  expect(json.engine).toHaveLength(1);
  expect(json.engine[0].kind).toEqual({ value: "vllm", origin: "file:3" });
  expect(json.aliases["gpt-4.1"].tier.origin).toBe("file:7");
  const { guard } = json.intents.archetype;
  expect(Object.keys(guard.feature)).toEqual(["weather", "alerted", "threat"]);
  expect(guard.feature.threat.unit).toEqual({ value: "m", origin: "file:18" });
});
