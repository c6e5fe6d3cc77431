// The situation code: one exact number for a bucket of every feature, mixed radix, the first feature the lowest digit.
// Codes reach to 2^53, so they are taken apart by division: bit operations know 32 bits.

import type { Archetype } from "./archetype.ts";
import { radixOf } from "./feature.ts";

/** Of one bucket for each feature, in their order. */
export function packSituation(buckets: readonly number[], archetype: Archetype): number {
  let code = 0;
  let index = 0;
  for (const { weight } of archetype.places.values()) {
    code += (buckets[index] ?? 0) * weight;
    index += 1;
  }
  return code;
}

/** One bucket for each feature, in their order. The code is below `archetype.situations`. */
export function unpackSituation(code: number, archetype: Archetype): number[] {
  let rest = code;
  return archetype.features.map((feature) => {
    const radix = radixOf(feature);
    const bucket = rest % radix;
    rest = (rest - bucket) / radix;
    return bucket;
  });
}
