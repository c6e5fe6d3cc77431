// Lays one source over the other: defaults, then the file, then the environment, then flags.

import { slaClasses } from "../routing/sla.ts";
import { nearest } from "./did-you-mean.ts";
import type { Machine } from "./machine.ts";
import type { Path, Table } from "./path.ts";
import { isTable, newTable, setAt, valueAt } from "./path.ts";
import type { ConfigProblem } from "./problem.ts";
import type { Setting } from "./settings.ts";
import { each, placesOf, sections, settings, variablesOf } from "./settings.ts";
import type { Origin, Sources } from "./sources.ts";
import { createSources } from "./sources.ts";
import type { TomlDocument } from "./toml-document.ts";

export type Environment = Readonly<Record<string, string | undefined>>;

/** What the command line sets: flag name → its text, for the settings that have a flag. */
export type ConfigFlags = Readonly<Record<string, string>>;

export interface Layered {
  /** Everything that is known, unchecked, in the file's own shape. */
  readonly tree: Table;
  readonly sources: Sources;
  readonly warnings: readonly ConfigProblem[];
}

export interface LayerInputs {
  readonly document: TomlDocument | undefined;
  readonly env: Environment;
  readonly flags: ConfigFlags;
  readonly machine: Machine;
}

/** Variables that say where the configuration or the router is, and are no settings. */
const otherVariables = ["TIERLINE_CONFIG", "TIERLINE_ADMIN"];

export function layer({ document, env, flags, machine }: LayerInputs): Layered {
  const tree = document?.root ?? newTable();
  const sources = createSources(document);
  makeSections(tree);
  if (document) recordFile(tree, document, sources);
  for (const setting of settings) {
    const written = fromFlag(setting, flags) ?? fromEnvironment(setting, env);
    if (written && setAt(tree, setting.pattern, written.value)) {
      sources.record(setting.pattern, written.origin);
    }
  }
  fillFixedDefaults(tree);
  fillMachine(tree, sources, machine);
  fillFoundDefaults(tree, sources, env);
  return { tree, sources, warnings: [...untold(machine), ...unknownVariables(env), ...beatenVariables(env)] };
}

function makeSections(tree: Table): void {
  for (const { pattern, shape } of sections) {
    for (const path of placesOf(pattern, tree)) {
      if (valueAt(tree, path) === undefined) setAt(tree, path, shape === "list" ? [] : newTable());
    }
  }
}

interface Written {
  readonly value: unknown;
  readonly origin: Origin;
}

function fromFlag({ flag, kind }: Setting, flags: ConfigFlags): Written | undefined {
  const text = flag === undefined ? undefined : flags[flag];
  return text === undefined ? undefined : { value: kind.fromText(text), origin: "flag" };
}

function fromEnvironment(setting: Setting, env: Environment): Written | undefined {
  for (const { name, fromText } of variablesOf(setting)) {
    const text = env[name];
    // An empty variable is how shells and unit files say "not set".
    if (text) return { value: fromText(text), origin: `env ${name}` };
  }
  return undefined;
}

function recordFile(tree: Table, document: TomlDocument, sources: Sources): void {
  for (const { pattern } of settings) {
    for (const path of placesOf(pattern, tree)) {
      const line = document.valuePlace(path)?.line ?? document.keyPlace(path)?.line;
      if (line !== undefined) sources.record(path, `file:${line}`);
    }
  }
}

function fillFixedDefaults(tree: Table): void {
  for (const { pattern, fallback } of settings) {
    if (fallback === undefined) continue;
    for (const path of placesOf(pattern, tree)) setMissing(tree, path, fallback);
  }
}

function fillMachine(tree: Table, sources: Sources, { name, zone, toldBy }: Machine): void {
  for (const [path, value] of [
    [["host", "name"], name],
    [["host", "zone"], zone],
  ] as const) {
    if (value === undefined || valueAt(tree, path) !== undefined) continue;
    setAt(tree, path, value);
    if (toldBy === "ec2") sources.record(path, "default (ec2)");
  }
}

/** The defaults that depend on the environment or another setting. */
function fillFoundDefaults(tree: Table, sources: Sources, env: Environment): void {
  setMissing(tree, ["state", "dir"], firstFolder(env["STATE_DIRECTORY"]) ?? "./.tierline");
  const credentials = env["CREDENTIALS_DIRECTORY"];
  if (valueAt(tree, ["auth", "mode"]) === "keys" && credentials) {
    setMissing(tree, ["auth", "keys_file"], `${credentials}/keys`);
  }
  if (valueAt(tree, ["listen", "gossip"]) !== undefined && credentials) {
    setMissing(tree, ["cluster", "secret_file"], `${credentials}/gossip.key`);
  }
  for (const path of placesOf(["engine", each], tree)) {
    const engine = valueAt(tree, path);
    const kind = valueAt(engine, ["kind"]);
    if (isTable(engine) && typeof kind === "string")
      setMissing(tree, [...path, "name"], freeName(tree, kind));
  }
  for (const sla of slaClasses) {
    // Whoever shortens the whole need not shorten the part as well.
    const total = valueAt(tree, ["sla", sla, "total_ms"]);
    const firstByte = valueAt(tree, ["sla", sla, "first_byte_ms"]);
    const tooLong = Number.isInteger(total) && Number(total) > 0 && Number(firstByte) > Number(total);
    if (tooLong && !sources.written(["sla", sla, "first_byte_ms"])) {
      setAt(tree, ["sla", sla, "first_byte_ms"], total);
    }
  }
}

/** systemd separates several by colons. */
const firstFolder = (folders: string | undefined): string | undefined => folders?.split(":")[0] || undefined;

/** `vllm`, then `vllm-2`, …: the first that no engine has. */
function freeName(tree: Table, kind: string): string {
  const taken = new Set(placesOf(["engine", each, "name"], tree).map((path) => valueAt(tree, path)));
  let name = kind;
  for (let count = 2; taken.has(name); count += 1) name = `${kind}-${count}`;
  return name;
}

function setMissing(tree: Table, path: Path, value: unknown): void {
  if (valueAt(tree, path) === undefined) setAt(tree, path, value);
}

/** A name that depends on who answers in time is another one some day, and then the fleet has one host more. */
function untold({ untold: why }: Machine): ConfigProblem[] {
  if (why === undefined) return [];
  const message = `EC2 should know this machine's name and zone, but its instance metadata do not tell: ${why}`;
  return [{ message, hint: "write name and zone under [host], so that they are the same at each start" }];
}

function unknownVariables(env: Environment): ConfigProblem[] {
  const known = [...settings.flatMap(variablesOf).map(({ name }) => name), ...otherVariables];
  return Object.keys(env)
    .filter((name) => name.startsWith("TIERLINE_") && !known.includes(name))
    .sort()
    .map((name) => {
      const near = nearest(name, known);
      const hint = near === undefined ? "docs/configuration.md lists the variables" : `did you mean ${near}?`;
      return { message: `${name} is no setting of tierline and does nothing`, hint };
    });
}

/** Where a setting has two variables and both are set, somebody believes in the one that does nothing. */
function beatenVariables(env: Environment): ConfigProblem[] {
  return settings.flatMap((setting): ConfigProblem[] => {
    const [winner, ...beaten] = variablesOf(setting).filter(({ name }) => env[name]);
    return beaten.map(({ name }) => ({
      message: `${name} does nothing, because ${winner?.name} is set too`,
      hint: "take out one of the two",
    }));
  });
}
