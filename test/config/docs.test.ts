import { expect, test } from "bun:test";
import { configurationPage } from "../../scripts/config-docs.ts";
import { settings } from "../../src/config/settings.ts";

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
