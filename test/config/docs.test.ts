import { expect, test } from "bun:test";
import { configurationPage } from "../../scripts/config-docs.ts";
import { sections, settings } from "../../src/config/settings.ts";
import { complaints, engine, loadText } from "./load-text.ts";

test("docs/configuration.md is what the table of settings says; `bun scripts/config-docs.ts` writes it", async () => {
  const page = await Bun.file(new URL("../../docs/configuration.md", import.meta.url)).text();
  expect(page).toBe(configurationPage());
});

test("every setting has a default, says what holds without one, or shows how it is written", () => {
  for (const { pattern, fallback, otherwise, example } of settings) {
    const told = fallback !== undefined || otherwise !== undefined || example !== undefined;
    expect(told, pattern.join(".")).toBe(true);
  }
});

test("every example of a section is a good configuration", () => {
  const examples = sections.flatMap(({ example }) => example ?? []);
  expect(examples.length).toBeGreaterThan(0);
  const files = { "/etc/tierline/keys": "lobby:k" };
  for (const example of examples) expect(complaints(`${engine}${example}`, { files })).toEqual([]);
});

test("the fleet that docs/operations.md describes is a good configuration under the unit", async () => {
  const page = await Bun.file(new URL("../../docs/operations.md", import.meta.url)).text();
  const [, text = ""] = /^## A fleet$.*?```toml\n(.*?)```/ms.exec(page) ?? [];
  expect(text).toContain("[cluster]");
  const credentials = "/run/credentials/tierline.service";
  const env = { CREDENTIALS_DIRECTORY: credentials };
  const files = { [`${credentials}/keys`]: "lobby:abc", [`${credentials}/gossip.key`]: "0123456789abcdef" };
  expect(complaints(text, { env, files })).toEqual([]);
  expect(loadText(text, { env, files })).toMatchObject({
    ok: true,
    config: { cluster: { fleet: "bodybroker-prod" } },
  });
});
