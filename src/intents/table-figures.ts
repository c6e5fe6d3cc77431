// What the intent table counts: of each archetype, under its name, and in all. It counts when it is told to.

import type { Archetype, Archetypes } from "./archetype.ts";

/** Of one archetype, since the start; they outlive a change of archetypes under the same name. */
export interface IntentFigures {
  readonly entries: number;
  /** Stale ones included. */
  readonly hits: number;
  readonly staleHits: number;
  readonly misses: number;
  readonly joins: number;
}

export type Counts = { -readonly [Name in keyof IntentFigures]: number };

export const noCounts = (): Counts => ({ entries: 0, hits: 0, staleHits: 0, misses: 0, joins: 0 });

/** An archetype in force, and what was counted under its name. */
export interface Kind {
  readonly archetype: Archetype;
  readonly counts: Counts;
}

/** By the archetype's id. What `before` counted under the same names goes on. */
export function kindsOf(archetypes: Archetypes, before: readonly Kind[] = []): readonly Kind[] {
  const known = new Map(before.map(({ archetype, counts }) => [archetype.name, counts]));
  return archetypes.all.map((archetype) => ({
    archetype,
    counts: known.get(archetype.name) ?? noCounts(),
  }));
}

/** From zero again, but for the entries, which are still there. */
export function resetCounts(counts: Counts): void {
  Object.assign(counts, noCounts(), { entries: counts.entries });
}
