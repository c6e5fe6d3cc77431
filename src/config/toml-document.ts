// Reads TOML into a plain tree, and remembers where each key and each value stands.

import type { AST } from "toml-eslint-parser";
import { ParseError, parseTOML } from "toml-eslint-parser";
import type { Path, Table } from "./path.ts";
import { newTable, pathText, setAt, valueAt } from "./path.ts";
import type { ConfigProblem, Place } from "./problem.ts";
import { syntaxProblem } from "./toml-syntax.ts";

export interface TomlDocument {
  readonly file: string;
  readonly root: Table;
  keyPlace(path: Path): Place | undefined;
  valuePlace(path: Path): Place | undefined;
}

export type TomlReading =
  | { readonly ok: true; readonly document: TomlDocument }
  | { readonly ok: false; readonly error: ConfigProblem };

export function readToml(text: string, file: string): TomlReading {
  const source = text.startsWith("\uFEFF") ? text.slice(1) : text;
  let program: AST.TOMLProgram;
  try {
    program = parseTOML(source, { tomlVersion: "1.1" });
  } catch (error) {
    if (error instanceof ParseError) return { ok: false, error: syntaxProblem(error, source, file) };
    throw error;
  }
  return { ok: true, document: collect(program.body[0], file) };
}

function collect(top: AST.TOMLTopLevelTable, file: string): TomlDocument {
  const root = newTable();
  const keys = new Map<string, Place>();
  const values = new Map<string, Place>();

  const remember = (places: Map<string, Place>, path: Path, node: AST.TOMLNode): void => {
    const { line, column } = node.loc.start;
    const key = pathText(path);
    // The first mention wins: `[sla.realtime]` and later `[sla.async]` both name `sla`.
    if (!places.has(key)) places.set(key, { file, line, column: column + 1 });
  };

  const readValue = (path: Path, node: AST.TOMLContentNode): void => {
    remember(values, path, node);
    if (node.type === "TOMLValue") setAt(root, path, node.value);
    else if (node.type === "TOMLArray") {
      setAt(root, path, []);
      node.elements.forEach((element, index) => {
        readValue([...path, index], element);
      });
    } else {
      setAt(root, path, newTable());
      for (const pair of node.body) readPair(path, pair);
    }
  };

  const readPair = (under: Path, pair: AST.TOMLKeyValue): void => {
    let path = under;
    for (const part of pair.key.keys) {
      path = [...path, keyName(part)];
      remember(keys, path, part);
    }
    readValue(path, pair.value);
  };

  const readTable = (table: AST.TOMLTable): void => {
    let part = -1;
    table.resolvedKey.forEach((step, index) => {
      // An index in the resolved key is written nowhere: it belongs to the name before it.
      if (typeof step === "string") part += 1;
      const path = table.resolvedKey.slice(0, index + 1);
      const named = table.key.keys[part];
      if (named) remember(keys, path, named);
      const next = table.resolvedKey[index + 1];
      makeContainer(root, path, typeof next === "number");
    });
    for (const pair of table.body) readPair(table.resolvedKey, pair);
  };

  for (const node of top.body) {
    if (node.type === "TOMLTable") readTable(node);
    else readPair([], node);
  }
  return {
    file,
    root,
    keyPlace: (path) => keys.get(pathText(path)),
    valuePlace: (path) => values.get(pathText(path)),
  };
}

const keyName = (part: AST.TOMLBare | AST.TOMLQuoted): string =>
  part.type === "TOMLBare" ? part.name : part.value;

function makeContainer(root: Table, path: Path, list: boolean): void {
  if (valueAt(root, path) === undefined) setAt(root, path, list ? [] : newTable());
}
