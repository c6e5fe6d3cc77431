// The names of all objects below a place, over the pages of a list.

import type { CallTrouble, ObjectPlace, Objects } from "./objects.ts";
import { below } from "./objects.ts";

/** Of a thousand names each. */
const pagesMost = 100;

export interface Names {
  readonly kind: "names";
  /** Without the place's own key. */
  readonly names: readonly string[];
  /** There are more than can be listed. */
  readonly isCut: boolean;
}

/** In the order of their bytes, from the first behind `after` on; an empty `after` means all. */
export async function listNames(
  objects: Objects,
  place: ObjectPlace,
  after: string,
  signal: AbortSignal,
): Promise<Names | CallTrouble> {
  const names: string[] = [];
  const prefix = { ...place, key: `${place.key}/` };
  let from = after === "" ? undefined : below(place, after).key;
  for (let page = 0; page < pagesMost; page += 1) {
    const listed = await objects.list(prefix, from, signal);
    if (listed.kind === "trouble") return listed;
    for (const key of listed.keys) names.push(key.slice(prefix.key.length));
    const last = listed.keys.at(-1);
    if (!listed.isCut || last === undefined) return { kind: "names", names, isCut: false };
    from = last;
  }
  return { kind: "names", names, isCut: true };
}
