// `tierline print-config`: every setting as it holds, and who said so.

import { askMachine, askMachineItself } from "../config/ask-machine.ts";
import { defaultSettings } from "../config/effective.ts";
import { loadConfig } from "../config/load.ts";
import { toJson, toToml } from "../config/print.ts";
import { printConfigErrors } from "../config/problem.ts";
import type { Command } from "./command.ts";
import { configOption, exit, jsonOption, printJson } from "./command.ts";

export const printConfig: Command = {
  name: "print-config",
  about: "Print every setting with its value and where it comes from",
  options: {
    config: configOption,
    effective: {
      about: "what holds here, from the file, the environment and the defaults (what it does anyway)",
    },
    default: { about: "what holds when nobody says anything" },
    json: jsonOption,
  },
  example: "print-config --config /etc/tierline/tierline.toml",
  async run(given, io) {
    if (given.has("default") && given.has("effective")) {
      io.err("tierline print-config: --effective and --default ask for two different things; give one.\n");
      return exit.usage;
    }
    const sources = { path: given.text("config"), env: io.env, readFile: io.readFile };
    const loaded = given.has("default")
      ? {
          ok: true as const,
          file: undefined,
          origins: defaultSettings(await askMachineItself(sources, io.clock)),
        }
      : loadConfig({ ...sources, machine: await askMachine(sources, io.clock) });
    if (!loaded.ok) {
      printConfigErrors(loaded.errors, io.err);
      return exit.config;
    }
    if (given.has("json")) printJson(io, toJson(loaded.origins));
    else {
      const file = loaded.file === undefined ? "no configuration file was read" : `"file" is ${loaded.file}`;
      io.out(`# ${file}; keys and tokens stay in the files named here\n\n${toToml(loaded.origins)}`);
    }
    return exit.ok;
  },
};
