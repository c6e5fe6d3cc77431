// Turns what the schema refused into sentences: the schema knows the rule, this file knows how people read.

import type { z } from "zod";
import { nearest } from "./did-you-mean.ts";
import type { Layered } from "./layers.ts";
import type { Path } from "./path.ts";
import { isTable, keyText, valueAt } from "./path.ts";
import type { ConfigProblem } from "./problem.ts";
import type { Section, Setting } from "./settings.ts";
import {
  each,
  namesUnder,
  sectionAt,
  sections,
  settingAt,
  settings,
  settingsOf,
  tablesOf,
} from "./settings.ts";
import { plainName } from "./sources.ts";

export function explainIssue(issue: z.core.$ZodIssue, layered: Layered): ConfigProblem[] {
  const path = issue.path.filter((step) => typeof step !== "symbol");
  if (issue.code === "unrecognized_keys") return issue.keys.map((key) => unknown(path, key, layered));
  const setting = settingAt(path);
  if (setting === undefined) return [wrongShape(path, layered)];
  if (valueAt(layered.tree, path) !== undefined) return [wrong(path, setting, layered)];
  // What has a default and still no value lacks it because of another error, which is told as well.
  return setting.otherwise === undefined ? [missing(path, setting, layered)] : [];
}

function wrong(path: Path, setting: Setting, { tree, sources }: Layered): ConfigProblem {
  const value = valueAt(tree, path);
  const near = typeof value === "string" ? nearest(value, setting.kind.choices ?? []) : undefined;
  const name = sources.called(path.slice(0, setting.pattern.length));
  const message = `${name} must be ${setting.kind.expects}, not ${shown(value)}`;
  if (!sources.written(path)) return sources.problem(path, message, unwrittenHint(setting));
  const hint = near === undefined ? setting.kind.advice?.(value) : `did you mean ${JSON.stringify(near)}?`;
  return sources.problem(path, message, hint);
}

/** What a machine says of itself need not be of any use. */
function unwrittenHint({ pattern, example }: Setting): string {
  const line = `${pattern.at(-1)} = ${inlineText(example)}`;
  return `that is what this machine says of itself; write ${line}, or what it is for you, under ${headerOf(pattern.slice(0, -1))}`;
}

function missing(path: Path, setting: Setting, { tree, sources }: Layered): ConfigProblem {
  const key = String(path.at(-1));
  const around = valueAt(tree, path.slice(0, -1));
  const hint = isTable(around) ? setting.whenMissing?.(around) : undefined;
  return sources.problem(
    path,
    `${header(path.slice(0, -1))} has no ${key}`,
    hint ?? `add ${key} = ${inlineText(setting.example)}, or what it is for you`,
  );
}

function unknown(under: Path, key: string, { tree, sources }: Layered): ConfigProblem {
  const path = [...under, key];
  const value = valueAt(tree, path);
  const table = isTable(value) || (Array.isArray(value) && value.some(isTable));
  const message = table
    ? `unknown table [${plainName(path)}]`
    : `unknown key ${keyText(key)}${under.length === 0 ? " outside every table" : ` in ${header(under)}`}`;
  return sources.keyProblem(path, message, unknownHint(under, key));
}

function unknownHint(under: Path, key: string): string {
  const names = namesUnder(under);
  const near = nearest(key, names);
  if (near !== undefined) {
    const meant = [...under, near];
    return `did you mean ${sectionAt(meant) === undefined ? near : header(meant)}?`;
  }
  const elsewhere = settings.find(({ pattern }) => pattern.at(-1) === key);
  if (elsewhere) return `${key} belongs in ${headerOf(elsewhere.pattern.slice(0, -1))}`;
  const here = names.map((name) => (under.length === 0 ? headerOf([name]) : name));
  return `known here: ${here.join(", ")}`;
}

function wrongShape(path: Path, { tree, sources }: Layered): ConfigProblem {
  const section = sectionAt(path);
  const name = plainName(path);
  const not = `not ${shown(valueAt(tree, path))}`;
  if (section?.shape === "list") {
    const hint = `write [[${name}]] above the settings of each`;
    return sources.problem(path, `${name} must be a list of tables, ${not}`, hint);
  }
  const hint = section === undefined ? namedTableHint(path) : `write [${name}] and its settings below it`;
  return sources.problem(path, `${name} must be a table, ${not}`, hint);
}

/** In a map, where each key is a name and stands for a table, something else stands under a key. */
function namedTableHint(path: Path): string {
  const map = path.slice(0, -1);
  const key = String(path.at(-1));
  if (namesUnder(path).includes(key)) return `give it a table with a name: [${plainName(map)}.NAME]`;
  // In TOML a key belongs to the last header above it.
  if (namesUnder(map.slice(0, -1)).includes(key))
    return `${key} belongs in ${header(map.slice(0, -1))}: write it above ${header(map)}`;
  const section = sectionAt(map);
  const first = section && settingsOf(section)[0];
  return `such as { ${first?.pattern.at(-1)} = ${inlineText(first?.example)} }`;
}

/** As the table that holds the path is written: `[[engine]]`, `[sla.realtime]`. */
function header(path: Path): string {
  const inList = typeof path.at(-1) === "number";
  const name = plainName(path);
  return inList || sectionAt(path)?.shape === "list" ? `[[${name}]]` : `[${name}]`;
}

function headerOf(pattern: readonly string[]): string {
  const section: Section | undefined = sections.find((one) =>
    [one.pattern, tablesOf(one)].some((table) => table.join(".") === pattern.join(".")),
  );
  if (section?.shape === "list") return `[[${section.pattern.join(".")}]]`;
  return `[${pattern.map((step) => (step === each ? "NAME" : step)).join(".")}]`;
}

/** As one would write it on one line of TOML. */
const inlineText = (value: unknown): string =>
  Array.isArray(value) ? `[${value.map(inlineText).join(", ")}]` : JSON.stringify(value);

/** Long values are cut: an error is one line. */
const shownLimit = 60;

function shown(value: unknown): string {
  if (value instanceof Date) return "a date";
  if (isTable(value)) return "a table";
  if (Array.isArray(value) && value.some(isTable)) return "a list of tables";
  if (typeof value === "number") return String(value);
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > shownLimit ? `${text.slice(0, shownLimit)}…` : text;
}
