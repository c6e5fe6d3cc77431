// How much the intent table may hold: the operator's two limits, and the one number of entries they come to.

import type { Archetypes } from "./archetype.ts";
import { bytesPerEntry, capacityMost } from "./entry-store.ts";

export interface IntentTableLimits {
  readonly maxEntries: number;
  readonly maxBytes: number;
}

/** How many odds a record has room for: the most actions of any archetype; an empty set is content with one. */
export const strideOf = (archetypes: Archetypes): number =>
  Math.max(1, ...archetypes.all.map(({ actions }) => actions.length));

/** One entry at the least. */
export const capacityFor = ({ maxEntries, maxBytes }: IntentTableLimits, stride: number): number =>
  Math.max(1, Math.min(maxEntries, Math.floor(maxBytes / bytesPerEntry(stride)), capacityMost));
