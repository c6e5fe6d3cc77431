// What is worked out once for each archetype, for paths on which a look-up by name would be seen. Nothing is kept of
// an archetype after a reload has put another one in its place.

import type { Archetype } from "../intents/archetype.ts";

export function perArchetype<T>(make: (archetype: Archetype) => T): (archetype: Archetype) => T {
  const rows: ({ readonly archetype: Archetype; readonly made: T } | undefined)[] = [];
  return (archetype) => {
    const row = rows[archetype.id];
    if (row?.archetype === archetype) return row.made;
    const made = make(archetype);
    rows[archetype.id] = { archetype, made };
    return made;
  };
}
