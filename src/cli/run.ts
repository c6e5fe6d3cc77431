// Reads a command line and runs the command that it names.

import { parseArgs } from "node:util";
import { nearest } from "../config/did-you-mean.ts";
import type { Command, Given, Io } from "./command.ts";
import { exit, parserOptions } from "./command.ts";
import { commands } from "./commands.ts";
import { commandHelp, familyHelp, overview } from "./help.ts";

/** `args` without the program's own name. Answers the exit code. */
export async function run(args: readonly string[], io: Io): Promise<number> {
  const [word, ...others] = args;
  if (word === undefined) {
    io.err(overview(commands));
    return exit.usage;
  }
  if (isHelp(word) || word === "help") return help(others, io);
  // The habit of every other program; the command is `version`.
  const words = word === "--version" ? ["version", ...others] : args;
  const command = find(words);
  if (command === undefined) return unknownCommand(words, io);
  const { name } = command;
  const reading = readArguments(command, words.slice(name.split(" ").length));
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

const isHelp = (word: string | undefined): boolean => word === "--help" || word === "-h";

/** The command whose name the words begin with. */
const find = (words: readonly string[]): Command | undefined =>
  commands.find(({ name }) => name.split(" ").every((word, index) => word === words[index]));

/** Those that share this first word. */
const familyOf = (word: string): readonly Command[] =>
  commands.filter(({ name }) => name.startsWith(`${word} `));

function help(words: readonly string[], io: Io): number {
  const [first] = words;
  const command = find(words);
  if (first !== undefined && command === undefined) return unknownCommand([...words, "--help"], io);
  io.out(command === undefined ? overview(commands) : commandHelp(command));
  return exit.ok;
}

function unknownCommand([first = "", second]: readonly string[], io: Io): number {
  const family = familyOf(first);
  if (family.length === 0) {
    const known = new Set(commands.map(({ name }) => name.replace(/ .*/, "")));
    return unknownWord("tierline", first, [...known], "tierline help", io);
  }
  if (second === undefined || isHelp(second)) {
    (second === undefined ? io.err : io.out)(familyHelp(first, family));
    return second === undefined ? exit.usage : exit.ok;
  }
  const known = family.map(({ name }) => name.slice(first.length + 1));
  return unknownWord(`tierline ${first}`, second, known, `tierline ${first} --help`, io);
}

function unknownWord(before: string, word: string, known: readonly string[], see: string, io: Io): number {
  const near = nearest(word, known);
  const hint = near === undefined ? `See ${see}.` : `Did you mean ${before} ${near}?`;
  io.err(`${before} has no command ${JSON.stringify(word)}. ${hint}\n`);
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
