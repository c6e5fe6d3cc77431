// Prints the settings that hold, each with its origin: as TOML that can be read in again, or as JSON.

import type { EffectiveSetting } from "./effective.ts";
import type { Path, Table } from "./path.ts";
import { keyText, newTable, pathText, setAt } from "./path.ts";
import type { Section, Setting } from "./settings.ts";
import { sections, settings } from "./settings.ts";

/** TOML; a setting without a value is a comment that says what holds instead. */
export function toToml(effective: readonly EffectiveSetting[]): string {
  const blocks = sections.flatMap((section) => blocksOf(section, effective));
  return `${blocks.map((lines) => lines.join("\n")).join("\n\n")}\n`;
}

/** The file's own shape, with `{"value":…,"origin":…}` for each value. */
export function toJson(effective: readonly EffectiveSetting[]): Table {
  const tree = newTable();
  const lists = sections.filter(({ shape }) => shape === "list");
  for (const { pattern } of lists) setAt(tree, pattern, []);
  for (const { path, value, origin } of effective) setAt(tree, path, { value, origin });
  return tree;
}

function blocksOf(section: Section, effective: readonly EffectiveSetting[]): string[][] {
  const depth = section.pattern.length + (section.shape === "table" ? 0 : 1);
  const inside = effective.filter(
    ({ path, setting }) =>
      path.length === depth + 1 && section.pattern.every((step, index) => step === setting.pattern[index]),
  );
  const tables = Map.groupBy(inside, ({ path }) => pathText(path.slice(0, depth)));
  const own = settings.filter(
    ({ pattern }) => pattern.length === depth + 1 && startsWith(pattern, section.pattern),
  );
  if (section.shape === "table" && own.length > 0 && tables.size === 0)
    tables.set(pathText(section.pattern), []);
  return [...tables.values()].map((held) => [
    header(section, held[0]?.path.slice(0, depth) ?? section.pattern),
    ...own.map((setting) =>
      line(
        setting,
        held.find((one) => one.setting === setting),
      ),
    ),
  ]);
}

const startsWith = (pattern: readonly string[], start: readonly string[]): boolean =>
  start.every((step, index) => step === pattern[index]);

const header = (section: Section, path: Path): string =>
  section.shape === "list" ? `[[${pathText(section.pattern)}]]` : `[${pathText(path)}]`;

function line(setting: Setting, held: EffectiveSetting | undefined): string {
  const key = keyText(setting.pattern.at(-1) ?? "");
  if (held === undefined) return `# ${key}: not set (${setting.otherwise?.replaceAll("`", "")})`;
  return `${key} = ${tomlValue(held.value)} # ${held.origin}`;
}

function tomlValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(tomlValue).join(", ")}]`;
  // JSON's escapes are TOML's, but JSON lets DEL stand as it is.
  return JSON.stringify(value).replaceAll("\u007f", "\\u007f");
}
