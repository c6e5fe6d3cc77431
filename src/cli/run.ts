// Reads a command line and runs the command that it names.

import { parseArgs } from "node:util";
import { nearest } from "../config/did-you-mean.ts";
import type { Command, Given, Io } from "./command.ts";
import { exit, parserOptions } from "./command.ts";
import { commands } from "./commands.ts";
import { commandHelp, overview } from "./help.ts";

/** `args` without the program's own name. Answers the exit code. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined) {
    io.err(overview(commands));
    return exit.usage;
  }
  if (name === "help" || name === "--help" || name === "-h") return help(rest[0], io);
  // The habit of every other program; the command is `version`.
  const command = find(name === "--version" ? "version" : name);
  if (command === undefined) return unknownCommand(name, io);
  const reading = readArguments(command, rest);
  if (reading.do === "help") {
    io.out(commandHelp(command));
    return exit.ok;
  }
  if (reading.do === "refuse") {
    io.err(`tierline ${name}: ${reading.why}\nSee tierline ${name} --help.\n`);
    return exit.usage;
  }
  return command.run(reading.given, io);
}

const find = (name: string): Command | undefined => commands.find((command) => command.name === name);

function help(name: string | undefined, io: Io): number {
  const command = name === undefined ? undefined : find(name);
  if (name !== undefined && command === undefined) return unknownCommand(name, io);
  io.out(command === undefined ? overview(commands) : commandHelp(command));
  return exit.ok;
}

function unknownCommand(name: string, io: Io): number {
  const near = nearest(
    name,
    commands.map((command) => command.name),
  );
  const hint = near === undefined ? "See tierline help." : `Did you mean tierline ${near}?`;
  io.err(`tierline has no command ${JSON.stringify(name)}. ${hint}\n`);
  return exit.usage;
}

type Reading =
  | { readonly do: "run"; readonly given: Given }
  | { readonly do: "help" }
  | { readonly do: "refuse"; readonly why: string };

function readArguments(command: Command, args: string[]): Reading {
  const options = parserOptions(command);
  // Not strict: the parser's own refusals are written for whoever called it, so we look at the pieces ourselves.
  const { values, positionals, tokens } = parseArgs({
    args,
    options,
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  if (values["help"] === true) return { do: "help" };
  for (const token of tokens) {
    if (token.kind !== "option") continue;
    const known = options[token.name];
    if (known === undefined) return { do: "refuse", why: unknownOption(token.rawName, Object.keys(options)) };
    if (known.type === "string" && (token.value === undefined || token.value === "")) {
      return { do: "refuse", why: `${token.rawName} needs a value` };
    }
    if (known.type === "boolean" && token.value !== undefined) {
      return { do: "refuse", why: `${token.rawName} takes no value` };
    }
  }
  const surplus = positionals[command.argument === undefined ? 0 : 1];
  if (surplus !== undefined)
    return { do: "refuse", why: `${JSON.stringify(surplus)} is one argument too many` };
  for (const [name, { required }] of Object.entries(command.options)) {
    if (required && values[name] === undefined) return { do: "refuse", why: `--${name} is missing` };
  }
  const text = (name: string): string | undefined => {
    const value = values[name];
    return typeof value === "string" ? value : undefined;
  };
  return { do: "run", given: { argument: positionals[0], text, has: (name) => values[name] === true } };
}

function unknownOption(written: string, known: readonly string[]): string {
  const near = nearest(written.replace(/^-+/, ""), known);
  return `there is no option ${written}${near === undefined ? "" : `; did you mean --${near}?`}`;
}
