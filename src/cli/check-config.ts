// `tierline check-config`: says what `serve` would say of a configuration, without serving.

import { askMachine } from "../config/ask-machine.ts";
import { loadConfig } from "../config/load.ts";
import type { ConfigProblem } from "../config/problem.ts";
import { printConfigErrors, printConfigWarnings } from "../config/problem.ts";
import type { Command } from "./command.ts";
import { configOption, exit, jsonOption, printJson } from "./command.ts";

export const checkConfig: Command = {
  name: "check-config",
  about: "Check a configuration, with line and column for each error",
  argument: "FILE",
  options: { config: configOption, json: jsonOption },
  example: "check-config /etc/tierline/tierline.toml",
  async run(given, io) {
    const path = given.argument ?? given.text("config");
    const sources = { path, env: io.env, readFile: io.readFile };
    const loaded = loadConfig({ ...sources, machine: await askMachine(sources, io.clock) });
    const errors = loaded.ok ? [] : loaded.errors;
    const warnings = loaded.ok ? loaded.warnings : [];
    if (given.has("json")) {
      printJson(io, { errors: errors.map(row), warnings: warnings.map(row) });
      return loaded.ok ? exit.ok : exit.config;
    }
    printConfigWarnings(warnings, io.err);
    if (!loaded.ok) {
      printConfigErrors(loaded.errors, io.err);
      return exit.config;
    }
    const { engines, aliases, intents, cluster, bronze } = loaded.config;
    const what = loaded.file === undefined ? "There is no file; the defaults are" : `${loaded.file} is`;
    const has = [
      counted(engines.length, "engine"),
      counted(aliases.size, "alias", "aliases"),
      counted(intents.archetypes.length, "archetype"),
      ...(cluster === undefined
        ? []
        : [`fleet ${cluster.fleet} with ${counted(cluster.seeds.length, "seed")}`]),
      ...(bronze === undefined
        ? []
        : [`jobs on ${bronze.runner === "local" ? "this fleet" : bronze.endpoint}`]),
    ];
    io.out(`${what} good: ${has.join(", ")}.\n`);
    return exit.ok;
  },
};

/** All five keys always, so that a script need not ask which there are. */
const row = ({ file, line, column, message, hint }: ConfigProblem) => ({
  file: file ?? null,
  line: line ?? null,
  column: column ?? null,
  message,
  hint: hint ?? null,
});

const counted = (count: number, one: string, many = `${one}s`): string =>
  `${count} ${count === 1 ? one : many}`;
