// The table of settings as a list: every section and every setting that the schema declares, in its order.

import { z } from "zod";
import type { SectionNote, SettingNote } from "./declare.ts";
import { noteOf, sectionNoteOf } from "./declare.ts";
import type { Kind } from "./kinds.ts";
import type { Path, Table } from "./path.ts";
import { isTable, valueAt } from "./path.ts";
import { configSchema } from "./schema.ts";

/** Stands in a pattern for any index of a list, or any key of a table whose keys people choose. */
export const each = "*";

export type Pattern = readonly string[];

export interface Setting extends SettingNote {
  readonly pattern: Pattern;
  readonly kind: Kind;
  readonly optional: boolean;
}

export interface Section extends SectionNote {
  readonly pattern: Pattern;
  /** `list`: written `[[so]]`, any number of times. `map`: its keys are names that people choose. */
  readonly shape: "table" | "list" | "map";
}

const found = walk(configSchema, []);
export const settings: readonly Setting[] = found.settings;
export const sections: readonly Section[] = found.sections;

/** A variable of the environment that sets a setting. */
export interface Variable {
  readonly name: string;
  readonly fromText: (text: string) => unknown;
}

/** The variables that set it, the one that wins first; none inside lists and maps. */
export function variablesOf({ pattern, kind, alsoEnv }: Setting): readonly Variable[] {
  if (pattern.includes(each)) return [];
  const own = { name: `TIERLINE_${pattern.join("_").toUpperCase()}`, fromText: kind.fromText };
  return alsoEnv === undefined ? [own] : [own, { fromText: kind.fromText, ...alsoEnv }];
}

/** The tables of a section: itself, or each of those that it lists or names. */
export const tablesOf = ({ pattern, shape }: Section): Pattern =>
  shape === "table" ? pattern : [...pattern, each];

/** What stands directly in the section's tables. */
export function settingsOf(section: Section): Setting[] {
  const table = tablesOf(section);
  return settings.filter(
    ({ pattern }) =>
      pattern.length === table.length + 1 && table.every((step, index) => step === pattern[index]),
  );
}

/** The setting that the path leads to or into: `sla.realtime.ladder[1]` is part of `sla.realtime.ladder`. */
export const settingAt = (path: Path): Setting | undefined =>
  settings.find(
    ({ pattern }) => pattern.length <= path.length && matches(pattern, path.slice(0, pattern.length)),
  );

export const sectionAt = (path: Path): Section | undefined =>
  sections.find(({ pattern }) => pattern.length === path.length && matches(pattern, path));

/** The names that may stand directly under a path: of settings and of sections. */
export function namesUnder(path: Path): string[] {
  const patterns = [...sections, ...settings].map(({ pattern }) => pattern);
  const names = patterns
    .filter((pattern) => pattern.length > path.length && matches(pattern.slice(0, path.length), path))
    .map((pattern) => pattern[path.length])
    .filter((name) => name !== undefined && name !== each);
  return [...new Set(names)].filter((name) => name !== undefined);
}

/** The places in a tree that a pattern stands for. */
export function placesOf(pattern: Pattern, tree: Table): Path[] {
  return pattern.reduce<Path[]>(
    (paths, step) =>
      paths.flatMap((path): Path[] => {
        if (step !== each) return [[...path, step]];
        const node = valueAt(tree, path);
        if (Array.isArray(node)) return node.map((_, index) => [...path, index]);
        return isTable(node) ? Object.keys(node).map((key) => [...path, key]) : [];
      }),
    [[]],
  );
}

const matches = (pattern: Pattern, path: Path): boolean =>
  pattern.every((step, index) => step === each || step === path[index]);

interface Walked {
  readonly settings: Setting[];
  readonly sections: Section[];
}

function walk(schema: z.core.$ZodType, pattern: Pattern, optional = false): Walked {
  const note = noteOf(schema);
  if (note) return { settings: [{ ...note, pattern, optional }], sections: [] };
  if (schema instanceof z.ZodOptional) return walk(schema.unwrap(), pattern, true);
  if (schema instanceof z.ZodArray) return walkMany(schema.element, pattern, "list");
  if (schema instanceof z.ZodRecord) return walkMany(schema.valueType, pattern, "map");
  if (!(schema instanceof z.ZodObject)) throw new Error(`no note for the setting ${pattern.join(".")}`);
  const parts = Object.entries(schema.shape).map(([key, part]) => walk(part, [...pattern, key]));
  const own: Section = { pattern, shape: "table", ...sectionNoteOf(schema) };
  return {
    settings: parts.flatMap((part) => part.settings),
    sections: [...(pattern.length === 0 ? [] : [own]), ...parts.flatMap((part) => part.sections)],
  };
}

function walkMany(item: z.core.$ZodType, pattern: Pattern, shape: "list" | "map"): Walked {
  const inner = walk(item, [...pattern, each]);
  const own: Section = { pattern, shape, ...sectionNoteOf(item) };
  // The item's section is the list's or the map's own; what is left are the sections within it.
  return { settings: inner.settings, sections: [own, ...inner.sections.slice(1)] };
}
