// JSON as somebody may write it: every kind of space, keys twice, keys and texts in escapes, numbers at the edges.

import type { Dice } from "./dice.ts";

const spaces = ["", "", "", " ", "\n", "\t", "\r\n "] as const;
const numbers = [
  "0",
  "-0",
  "1",
  "-1",
  "7e0",
  "1e400",
  "-1e400",
  "0.1",
  "1E-7",
  "9007199254740991",
  "9007199254740993",
  "184467440737095516150",
  "3000000000",
] as const;
const pieces = [
  "a",
  '\\"',
  "\\\\",
  "\\u0041",
  "\\u006d",
  "\\ud800",
  "é",
  "💥",
  "{",
  "}",
  "[",
  ":",
  ",",
  "\\n",
] as const;

/** `keys`: of which members are called, most of the time. */
export function jsonText(dice: Dice, keys: readonly [string, ...string[]], depth = 4): string {
  const gap = (): string => dice.pick(spaces);
  const list = (open: string, close: string, item: () => string): string =>
    `${open}${gap()}${dice.some(5, item).join(`${gap()},${gap()}`)}${gap()}${close}`;
  switch (depth === 0 ? 3 + dice.int(5) : dice.int(8)) {
    case 0:
    case 1:
      return list("{", "}", () => memberText(dice, keys, depth));
    case 2:
      return list("[", "]", () => jsonText(dice, keys, depth - 1));
    case 3:
      return dice.pick(numbers);
    case 4:
      return dice.pick(["true", "false", "null"]);
    case 5:
      return `"${dice.pick(keys)}"`;
    default:
      return `"${dice.some(4, () => dice.pick(pieces)).join("")}"`;
  }
}

export function objectText(dice: Dice, keys: readonly [string, ...string[]], members = 6): string {
  const gap = (): string => dice.pick(spaces);
  const inside = dice.some(members, () => memberText(dice, keys, 4)).join(`${gap()},${gap()}`);
  return `${gap()}{${gap()}${inside}${gap()}}${gap()}`;
}

function memberText(dice: Dice, keys: readonly [string, ...string[]], depth: number): string {
  const plain = dice.chance(0.8) ? dice.pick(keys) : dice.some(3, () => dice.pick(pieces)).join("");
  const key = dice.chance(0.1)
    ? plain.replace(/[a-z]/, (letter) => `\\u00${letter.charCodeAt(0).toString(16)}`)
    : plain;
  return `"${key}"${dice.pick(spaces)}:${dice.pick(spaces)}${jsonText(dice, keys, depth - 1)}`;
}
