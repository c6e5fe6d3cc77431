// What NPCs' intents are answered by: the archetypes in force, their table, and the engines behind it.

import { isDeepStrictEqual } from "node:util";
import type { IntentsConfig } from "./config/config.ts";
import type { AnsweringIntents, IntentsParts } from "./dispatch/intents.ts";
import { createIntents } from "./dispatch/intents.ts";
import { createArchetypes } from "./intents/archetype.ts";
import type { IntentTable } from "./intents/intent-table.ts";
import { createIntentTable } from "./intents/intent-table.ts";
import type { IntentTableLimits } from "./intents/table-limits.ts";
import { changed } from "./slices.ts";
import { registerIntentGauges } from "./telemetry/intent-gauges.ts";
import type { Registry } from "./telemetry/registry.ts";

export interface NpcIntentsParts extends Omit<IntentsParts, "table" | "engineShare"> {
  readonly config: IntentsConfig;
  readonly registry: Registry;
}

export interface NpcIntents {
  readonly intents: AnsweringIntents;
  readonly table: IntentTable;
  reconfigure(next: IntentsConfig): void;
}

export function createNpcIntents(parts: NpcIntentsParts): NpcIntents {
  let { config } = parts;
  const table = createIntentTable(createArchetypes(config.archetypes), config, parts.clock.now);
  const intents = createIntents({ ...parts, table, engineShare: config.engineShare });
  registerIntentGauges(parts.registry, table, () => intents.load);
  return {
    intents,
    table,
    reconfigure(next) {
      const before = config;
      config = next;
      if (isDeepStrictEqual(before, next)) return;
      const { maxEntries, maxBytes } = { ...table.settings(), ...changed(limitsOf(before), limitsOf(next)) };
      const { archetypes, engineShare } = next;
      intents.reconfigure(createArchetypes(archetypes), { engineShare, maxEntries, maxBytes });
    },
  };
}

const limitsOf = ({ maxEntries, maxBytes }: IntentsConfig): IntentTableLimits => ({ maxEntries, maxBytes });
