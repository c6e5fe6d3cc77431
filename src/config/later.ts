// Settings that the design has and this version does not. Accepting them would be a lie; not knowing them, rude.

import type { Path } from "./path.ts";

const later: readonly (readonly string[])[] = [["auth", "key"]];

export const notYet = "this version of tierline does not have it yet; take it out until yours does";

export const comesLater = (path: Path): boolean =>
  later.some((steps) => steps.every((step, index) => step === path[index]));
