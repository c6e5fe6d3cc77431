// Help and usage, written from the table of commands.

import type { Command, Option } from "./command.ts";
import { helpOption } from "./command.ts";

export function overview(commands: readonly Command[]): string {
  const rows = commands.map(({ name, about }): Row => [name, about]);
  return [
    "tierline: an inference router for games, beside the engine on every GPU host.",
    "",
    "Usage: tierline COMMAND [OPTION…]",
    "",
    ...columns(rows),
    "",
    "tierline COMMAND --help tells more, with an example.",
    "Exit codes: 0 good, 1 failed, 2 unreadable command line, 64 no such thing, 78 bad configuration.",
    "",
  ].join("\n");
}

/** Of commands that share their first word. */
export function familyHelp(family: string, commands: readonly Command[]): string {
  const rows = commands.map(({ name, about }): Row => [name, about]);
  return [
    `Usage: tierline ${family} COMMAND [OPTION…]`,
    "",
    ...columns(rows),
    "",
    `tierline ${family} COMMAND --help tells more, with an example.`,
    "",
  ].join("\n");
}

export function commandHelp(command: Command): string {
  const options: [string, Option][] = [...Object.entries(command.options), ["help", helpOption]];
  return [
    `${command.about}.`,
    "",
    `Usage: ${usage(command)}`,
    "",
    ...columns(options.map(([name, option]): Row => [optionText(name, option), option.about])),
    "",
    `Example: tierline ${command.example}`,
    "",
  ].join("\n");
}

function usage({ name, argument, options }: Command): string {
  const parts = Object.entries(options).map(([option, row]) =>
    row.required ? optionText(option, row) : `[${optionText(option, row)}]`,
  );
  return ["tierline", name, ...(argument === undefined ? [] : [`[${argument}]`]), ...parts].join(" ");
}

const optionText = (name: string, { value }: Option): string =>
  value === undefined ? `--${name}` : `--${name} ${value}`;

type Row = readonly [left: string, right: string];

/** Two columns, the second one aligned. */
function columns(rows: readonly Row[]): string[] {
  const width = Math.max(0, ...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
}
