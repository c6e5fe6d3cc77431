// Settings that the design has and this version does not. Accepting them would be a lie; not knowing them, rude.

import type { Path } from "./path.ts";

const later: readonly (readonly string[])[] = [["auth", "key"], ["jobs"], ["tier", "bronze"]];

export const notYet = "this version of tierline does not have it yet; take it out until yours does";

/** What the table of settings holds under a name, unless the name is among those above. */
export function onceHere<Part>(path: Path, part: Part): Part;
export function onceHere(path: Path, part: object): object {
  return comesLater(path) ? {} : part;
}

export const comesLater = (path: Path): boolean =>
  later.some((steps) => steps.every((step, index) => step === path[index]));

export const variableComesLater = (name: string): boolean =>
  later.some((steps) => `${name}_`.startsWith(`TIERLINE_${steps.join("_").toUpperCase()}_`));
