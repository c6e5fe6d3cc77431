// What of the two caches outlives the process, as snapshots.ts asks for it.

import type { Clock } from "./base/clock.ts";
import type { ResultCache } from "./dispatch/result-cache.ts";
import type { IntentTable } from "./intents/intent-table.ts";
import { encodeTable, restoreTable } from "./intents/table-snapshot.ts";
import type { SavedCache } from "./snapshots.ts";

export const savedIntents = (table: IntentTable, clock: Clock): SavedCache => ({
  name: "intents",
  encode: (mostBytes) => encodeTable(table, mostBytes, clock.now()),
  restore: (payload, elapsedMs) => restoreTable(table, payload, elapsedMs, clock.now),
});

export const savedResults = ({
  snapshot,
  restore,
}: Pick<ResultCache, "snapshot" | "restore">): SavedCache => ({
  name: "results",
  encode: snapshot,
  restore,
});
