// Names that the schema would drop without a word: JavaScript keeps them for itself, so nothing can be found by them.

import type { Layered } from "./layers.ts";
import { isTable, valueAt } from "./path.ts";
import type { ConfigProblem } from "./problem.ts";
import { placesOf, sections } from "./settings.ts";
import { plainName } from "./sources.ts";

const lost = "__proto__";

export const lostNames = ({ tree, sources }: Layered): ConfigProblem[] =>
  sections
    .filter(({ shape }) => shape === "map")
    .flatMap(({ pattern }) => placesOf(pattern, tree))
    .filter((names) => {
      const table = valueAt(tree, names);
      return isTable(table) && Object.hasOwn(table, lost);
    })
    .map((names) => {
      const path = [...names, lost];
      const message = `${plainName(path)} is a name that nothing can have`;
      return sources.keyProblem(path, message, "JavaScript keeps it for itself; take another");
    });
