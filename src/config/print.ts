// Prints the settings that hold, each with its origin: as TOML that can be read in again, or as JSON.

import type { EffectiveSetting } from "./effective.ts";
import type { Path, Table } from "./path.ts";
import { keyText, newTable, pathText, setAt } from "./path.ts";
import type { Section, Setting } from "./settings.ts";
import { each, sections, settingsOf, tablesOf } from "./settings.ts";

/** TOML; a setting without a value is a comment that says what holds instead. */
export function toToml(effective: readonly EffectiveSetting[]): string {
  const blocks = sections
    .filter(({ pattern }) => !pattern.includes(each))
    .flatMap((section) => blocksOf(section, section.pattern, effective));
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

/** The section's tables at a path, in their order, each followed by the sections within it. */
function blocksOf(section: Section, at: Path, effective: readonly EffectiveSetting[]): string[][] {
  const own = settingsOf(section);
  const inside = effective.filter(({ path, setting }) => own.includes(setting) && startsWith(path, at));
  const tables = Map.groupBy(inside, ({ path }) => pathText(path.slice(0, -1)));
  if (section.shape === "table" && own.length > 0 && tables.size === 0) tables.set(pathText(at), []);
  return [...tables.values()].flatMap((held) => {
    const table = held[0]?.path.slice(0, -1) ?? at;
    return [
      [header(section, table), ...own.flatMap((setting) => line(setting, held))],
      ...sectionsWithin(section).flatMap((inner) =>
        blocksOf(inner, [...table, inner.pattern.at(-1) ?? ""], effective),
      ),
    ];
  });
}

/** The sections in each table of a list or a map; those of a plain table stand beside it. */
function sectionsWithin(section: Section): Section[] {
  if (section.shape === "table") return [];
  const table = tablesOf(section);
  return sections.filter(({ pattern }) => pattern.length === table.length + 1 && startsWith(pattern, table));
}

const startsWith = (path: Path, start: Path): boolean => start.every((step, index) => step === path[index]);

const header = (section: Section, path: Path): string =>
  section.shape === "list" ? `[[${pathText(section.pattern)}]]` : `[${pathText(path)}]`;

function line(setting: Setting, table: readonly EffectiveSetting[]): string[] {
  const key = keyText(setting.pattern.at(-1) ?? "");
  const held = table.find((one) => one.setting === setting);
  if (held !== undefined) return [`${key} = ${tomlValue(held.value)} # ${held.origin}`];
  return setting.otherwise === undefined
    ? []
    : [`# ${key}: not set (${setting.otherwise.replaceAll("`", "")})`];
}

function tomlValue(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(tomlValue).join(", ")}]`;
  // JSON's escapes are TOML's, but JSON lets DEL stand as it is.
  return JSON.stringify(value).replaceAll("\u007f", "\\u007f");
}
