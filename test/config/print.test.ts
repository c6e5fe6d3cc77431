import { describe, expect, test } from "bun:test";
import { defaultSettings } from "../../src/config/effective.ts";
import { toJson, toToml } from "../../src/config/print.ts";
import { engine, loadText } from "./load-text.ts";

const text = `${engine}models = ["a", "b"]
[aliases]
"gpt-4.1" = { tier = "gold" }
[auth]
mode = "keys"
keys_file = "/keys"
`;

const loaded = () => {
  const result = loadText(text, {
    env: { TIERLINE_SLA_REALTIME_TOTAL_MS: "900" },
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

  test("gives every value one of the four origins", () => {
    const values = toToml(loaded().origins)
      .split("\n")
      .filter((line) => line.includes(" = "));
    expect(values.length).toBeGreaterThan(30);
    for (const line of values) expect(line).toMatch(/ # (default|flag|file:\d+|env TIERLINE_[A-Z0-9_]+)$/);
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
    const again = loadText(toToml(defaultSettings("gold-1")));
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
});
