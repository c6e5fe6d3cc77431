// Figures about the intent table by archetype, and about the questions behind it, read when somebody asks for the metrics.

import type { IntentTable } from "../intents/intent-table.ts";
import type { Registry } from "./registry.ts";

/** Questions about situations: waiting to be asked, and at engines. */
interface Load {
  readonly queued: number;
  readonly asked: number;
}

export function registerIntentGauges(registry: Registry, table: IntentTable, load: () => Load): void {
  registry.gauge("tierline_intent_entries", "Situations in the table.", ["archetype"], (set) => {
    for (const archetype of table.archetypes.all) set(table.figures(archetype).entries, archetype.name);
  });
  registry.gauge(
    "tierline_intent_lookups_total",
    "Look-ups in the table: fresh, stale, miss, or join (a miss that another was already asking about).",
    ["archetype", "result"],
    (set) => {
      for (const archetype of table.archetypes.all) {
        const { hits, staleHits, misses, joins } = table.figures(archetype);
        set(hits - staleHits, archetype.name, "fresh");
        set(staleHits, archetype.name, "stale");
        set(misses, archetype.name, "miss");
        set(joins, archetype.name, "join");
      }
    },
    "counter",
  );
  registry.gauge(
    "tierline_intent_questions",
    "Questions about situations that are open: queued here, or asked of engines.",
    ["state"],
    (set) => {
      const { queued, asked } = load();
      set(queued, "queued");
      set(asked, "asked");
    },
  );
}
