import { expect, test } from "bun:test";
import { configurationPage } from "../../scripts/config-docs.ts";
import { sections, settings } from "../../src/config/settings.ts";
import { complaints, engine } from "./load-text.ts";

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
  for (const example of examples) expect(complaints(`${engine}${example}`)).toEqual([]);
});
