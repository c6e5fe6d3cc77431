// Says in words what is wrong with a line that is no TOML. The parser's own words assume that one wrote the parser.

import type { ParseError } from "toml-eslint-parser";
import type { ConfigProblem } from "./problem.ts";

/** What the parser says → what we say. `before`: it complains at the end of the gap, people look at its start. */
const sayings: ReadonlyMap<string, { readonly message: string; readonly hint?: string; before?: true }> =
  new Map([
    ["Unspecified values are invalid", { message: "the key has no value", before: true }],
    [
      "The key, equals sign, and value must be on the same line",
      { message: "the key has no value", before: true },
    ],
    ["Expected equal (=) token", { message: "a = is missing after the key", before: true }],
    ["Unterminated table-key", { message: "the ] that ends the table's name is missing", before: true }],
    ["Unterminated array", { message: "the ] that ends the list is missing", before: true }],
    ["Unterminated inline table", { message: "the } that ends the inline table is missing", before: true }],
    ["Unterminated string constant", { message: "the quote that ends the text is missing" }],
    [
      "Defining a key multiple times is invalid",
      {
        message: "this is written twice",
        hint: "keep one of the two; each engine of a list starts with [[engine]]",
      },
    ],
  ]);

export function syntaxProblem(error: ParseError, source: string, file: string): ConfigProblem {
  const bare = bareText(error, source);
  if (bare) {
    const { key, value, column } = bare;
    const message = `${value} is not a TOML value`;
    const hint = `text stands in quotes: ${key} = ${JSON.stringify(value)}`;
    return { file, line: error.lineNumber, column, message, hint };
  }
  const saying = sayings.get(error.message);
  const place = saying?.before
    ? lastWritten(source, error.index)
    : { line: error.lineNumber, column: error.column + 1 };
  const message = saying?.message ?? `not valid TOML: ${lowerFirst(error.message)}`;
  return { file, ...place, message, ...(saying?.hint === undefined ? {} : { hint: saying.hint }) };
}

/** `tier = gold`, `body_bytes = 4MB`: the commonest slip of all. */
function bareText(error: ParseError, source: string) {
  if (!["Unexpected character", "Must be a newline"].includes(error.message)) return undefined;
  const line = source.split(/\r?\n/)[error.lineNumber - 1] ?? "";
  const [, before, key, value] =
    /^(\s*([A-Za-z0-9_.-]+)\s*=\s*)([A-Za-z0-9_/.:-]+)\s*(?:#.*)?$/.exec(line) ?? [];
  if (before === undefined || key === undefined || value === undefined) return undefined;
  return { key, value, column: before.length + 1 };
}

/** The last character before `index` that is not white space. */
function lastWritten(source: string, index: number): { readonly line: number; readonly column: number } {
  const before = source.slice(0, index).trimEnd();
  const lines = before.split(/\r?\n/);
  return { line: lines.length, column: Math.max(1, lines.at(-1)?.length ?? 0) };
}

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);
