// Finds the file, lays the sources over each other and checks each value by itself. Reads no secret, so that whoever
// may read the configuration but not the keys can still ask where the router is.

import { explainIssue } from "./explain-issue.ts";
import type { ConfigFlags, Environment, Layered } from "./layers.ts";
import { layer } from "./layers.ts";
import { lostNames } from "./lost-names.ts";
import type { Machine } from "./machine.ts";
import { thisHost } from "./machine.ts";
import type { Table } from "./path.ts";
import { removeAt } from "./path.ts";
import type { ConfigProblem } from "./problem.ts";
import type { ReadFile } from "./read-text.ts";
import { readText } from "./read-text.ts";
import type { Values } from "./schema.ts";
import { configSchema } from "./schema.ts";
import type { TomlDocument } from "./toml-document.ts";
import { readToml } from "./toml-document.ts";

/** Read when nobody names another, and no error when it is missing. */
const defaultConfigFile = "/etc/tierline/tierline.toml";

export interface ConfigSources {
  /** Named by `--config`; else `$TIERLINE_CONFIG`, else the default file if there is one. */
  readonly path?: string | undefined;
  readonly env: Environment;
  readonly flags?: ConfigFlags;
  readonly readFile: ReadFile;
  /** What is known of it; not given: what it calls itself. */
  readonly machine?: Machine;
}

export interface ValuesReading {
  /** The file that was read; undefined when there was none. */
  readonly file?: string;
  /** Undefined when the file could not be read at all. */
  readonly layered?: Layered;
  /** With errors, a table that holds a refused value stands here at its defaults. */
  readonly values?: Values;
  readonly errors: readonly ConfigProblem[];
  /** The top-level tables in which a value was refused. */
  readonly refused: ReadonlySet<PropertyKey>;
}

export function readValues(from: ConfigSources): ValuesReading {
  const found = findDocument(from);
  if (!found.ok) return { errors: [found.error], refused: new Set() };
  const { document } = found;
  const { env, flags = {}, machine = thisHost() } = from;
  const layered = layer({ document, env, flags, machine });
  const lost = lostNames(layered);
  const checked = checkEach(layered);
  return {
    ...(document ? { file: document.file } : {}),
    layered,
    ...checked,
    errors: [...lost, ...checked.errors],
  };
}

type Found =
  | { readonly ok: true; readonly document: TomlDocument | undefined }
  | { readonly ok: false; readonly error: ConfigProblem };

function findDocument({ path, env, readFile }: ConfigSources): Found {
  const named = path ?? (env["TIERLINE_CONFIG"] || undefined);
  const file = named ?? defaultConfigFile;
  const reading = readText(file, readFile);
  if (reading.ok) return readToml(reading.text, file);
  if (named === undefined && reading.missing) return { ok: true, document: undefined };
  const by =
    path !== undefined
      ? "the command line"
      : named !== undefined
        ? "$TIERLINE_CONFIG"
        : "nobody: it is the default";
  const message = `the configuration file ${reading.why}`;
  return { ok: false, error: { file, message, hint: `it is named by ${by}; ${reading.hint}` } };
}

/** Takes out what the schema refuses and looks again, so that one bad line does not hide what else is wrong. */
function checkEach(layered: Layered): Pick<ValuesReading, "values" | "errors" | "refused"> {
  const checked = configSchema.safeParse(layered.tree);
  if (checked.success) return { values: checked.data, errors: [], refused: new Set() };
  const { issues } = checked.error;
  const errors = distinct(issues.flatMap((issue) => explainIssue(issue, layered)));
  const refused = new Set<PropertyKey>();
  for (const issue of issues) {
    const path = issue.path.filter((step) => typeof step !== "symbol");
    if (issue.code === "unrecognized_keys")
      for (const key of issue.keys) removeAt(layered.tree, [...path, key]);
    else if (path[0] !== undefined) refused.add(path[0]);
  }
  const rest = configSchema.safeParse(atDefaults(layered.tree, refused));
  return { ...(rest.success ? { values: rest.data } : {}), errors, refused };
}

/** Keeps the place of a value that was refused, and is never seen. */
const nowhere: Machine = { name: "unknown", toldBy: "host" };

function atDefaults(tree: Table, refused: ReadonlySet<PropertyKey>): Table {
  const untouched = layer({ document: undefined, env: {}, flags: {}, machine: nowhere }).tree;
  return {
    ...tree,
    ...Object.fromEntries(Object.entries(untouched).filter(([table]) => refused.has(table))),
  };
}

/** The schema may refuse one value for two reasons, and both read the same. */
function distinct(problems: readonly ConfigProblem[]): ConfigProblem[] {
  return [...new Map(problems.map((problem) => [JSON.stringify(problem), problem])).values()];
}
