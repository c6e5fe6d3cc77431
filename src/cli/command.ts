// What a command is: a row for the table, and what it is given when it runs.

import type { ParseArgsOptionDescriptor } from "node:util";
import type { Clock } from "../base/clock.ts";
import type { Environment } from "../config/layers.ts";
import type { ReadFile } from "../config/read-text.ts";

/** sysexits where they have a word for it. */
export const exit = {
  ok: 0,
  failed: 1,
  /** The command line cannot be read: unknown command, unknown or missing option. */
  usage: 2,
  /** It can be read, and asks for something that there is not. */
  meaning: 64,
  config: 78,
} as const;
export type ExitCode = (typeof exit)[keyof typeof exit];

export interface Option {
  /** What its value is called in help; without it the option is a switch. */
  readonly value?: string;
  readonly about: string;
  readonly required?: true;
}

export interface Command {
  /** One word, or two where several commands share the first: `cache stats`. */
  readonly name: string;
  readonly about: string;
  readonly options: Readonly<Record<string, Option>>;
  /** One optional argument without a name, as help calls it: `FILE`. */
  readonly argument?: string;
  /** Shown by help, without the `tierline` in front. */
  readonly example: string;
  readonly run: (given: Given, io: Io) => Promise<number>;
}

/** What stood on the command line, after the table has checked it. */
export interface Given {
  readonly argument: string | undefined;
  text(option: string): string | undefined;
  has(option: string): boolean;
}

/** The query of a call to the router: those of the options that were given, each as the router calls it. */
export function queryOf(given: Given, options: Readonly<Record<string, string>>): URLSearchParams {
  const query = new URLSearchParams();
  for (const [option, name] of Object.entries(options)) {
    const value = given.text(option);
    if (value !== undefined) query.set(name, value);
  }
  return query;
}

/** A terminal that somebody looks at and types into. */
export interface Screen {
  size(): { readonly columns: number; readonly rows: number };
  /** Takes it over until the returned function gives it back, which every way out of the process does as well. */
  takeOver(events: ScreenEvents): () => void;
}

export interface ScreenEvents {
  key(key: string): void;
  resized(): void;
  /** The terminal is gone, or the process is told to end. */
  ended(): void;
}

/** The world, as far as commands touch it. */
export interface Io {
  readonly out: (text: string) => void;
  /** How wide a line may be; undefined: nobody looks, so it may be any width. */
  readonly columns: () => number | undefined;
  /** Undefined: what is written or typed does not go through a terminal. */
  readonly screen: Screen | undefined;
  readonly err: (text: string) => void;
  readonly env: Environment;
  readonly readFile: ReadFile;
  readonly clock: Clock;
}

export const configOption: Option = {
  value: "FILE",
  about: "the configuration; else $TIERLINE_CONFIG, else /etc/tierline/tierline.toml, else the defaults",
};

export const jsonOption: Option = { about: "print JSON instead of text" };

export const helpOption: Option = { about: "print this" };

export const parserOptions = (command: Command): Record<string, ParseArgsOptionDescriptor> =>
  Object.fromEntries([
    ["help", { type: "boolean", short: "h" }],
    ...Object.entries(command.options).map(([name, { value }]): [string, ParseArgsOptionDescriptor] => [
      name,
      { type: value === undefined ? "boolean" : "string" },
    ]),
  ]);

export const printJson = (io: Io, value: unknown): void => io.out(`${JSON.stringify(value, null, 2)}\n`);
