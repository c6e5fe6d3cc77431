// From the features of a JSON item to the situation code. Hot: one pass over what the caller sent, nothing allocated
// where it is right.

import { isRecord } from "../base/is-record.ts";
import type { Archetype } from "./archetype.ts";
import { bucketOf, complaint } from "./feature.ts";
import { few, inWords, quoted } from "./in-words.ts";

/** What can be wrong with one item of a batch, the others being answered. */
export const itemErrorCodes = [
  "invalid_request",
  "unknown_archetype",
  "unknown_feature",
  "invalid_feature",
] as const;

export interface ItemError {
  readonly code: (typeof itemErrorCodes)[number];
  readonly message: string;
}

/** `features` as JSON has them. One that is missing is in its lowest bucket, so no features at all is situation 0. */
export function readSituation(features: unknown, archetype: Archetype): number | ItemError {
  if (features === undefined) return 0;
  if (!isRecord(features)) {
    const message = `features must be an object of names and values, not ${inWords(features)}`;
    return { code: "invalid_request", message };
  }
  let code = 0;
  let sent = 0;
  // The names that the caller sent are looked up in a map of ours, so "constructor" and the like are plain strangers.
  for (const name in features) {
    // Most callers send them in our order, and to compare is quicker than to look up.
    const next = archetype.placesInOrder[sent];
    const place = next?.feature.name === name ? next : archetype.places.get(name);
    sent += 1;
    if (place === undefined) return { code: "unknown_feature", message: strangerIn(archetype, name) };
    const bucket = bucketOf(place.feature, features[name]);
    if (bucket === undefined) {
      return { code: "invalid_feature", message: complaint(place.feature, features[name]) };
    }
    code += bucket * place.weight;
  }
  return code;
}

function strangerIn(archetype: Archetype, name: string): string {
  const known = [...archetype.places.keys()];
  const has = known.length === 0 ? "it has none" : `its features are ${few(known)}`;
  return `${archetype.name} has no feature ${quoted(name)}; ${has}`;
}
