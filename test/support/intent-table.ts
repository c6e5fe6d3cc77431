// An intent table in virtual time, with an archetype to ask about.

import type { Instant } from "../../src/base/clock.ts";
import type { Archetype, ArchetypeRule, Archetypes } from "../../src/intents/archetype.ts";
import { createArchetypes } from "../../src/intents/archetype.ts";
import type { IntentTable } from "../../src/intents/intent-table.ts";
import { createIntentTable } from "../../src/intents/intent-table.ts";
import type { IntentTableLimits } from "../../src/intents/table-limits.ts";
import { guard } from "./archetypes.ts";

export const roomy: IntentTableLimits = { maxEntries: 1000, maxBytes: 2 ** 30 };

/** Odds of the guard's six actions that say `action`, mostly. */
export const mostly = (action: number): number[] =>
  Array.from({ length: 6 }, (_, index) => (index === action ? 0.75 : 0.05));

export interface TableAt {
  readonly table: IntentTable;
  readonly archetypes: Archetypes;
  /** The first of the set. */
  readonly guard: Archetype;
  now: Instant;
}

/** `perShard`: entries of one LRU, where a test wants several of them. */
export function tableOf(
  rules: readonly ArchetypeRule[] = [guard],
  limits = roomy,
  perShard?: number,
): TableAt {
  const archetypes = createArchetypes(rules);
  const [first] = archetypes.all;
  if (first === undefined) throw new Error("a table for a test needs an archetype");
  const made = { now: 1_000_000, archetypes, guard: first };
  return Object.assign(made, { table: createIntentTable(archetypes, limits, () => made.now, perShard) });
}

/** All keys, most recently used first. */
export const keysOf = (table: IntentTable): string[] =>
  table.entries({ limit: Number.POSITIVE_INFINITY }).entries.map(({ key }) => key);
