// Takes the entries of one store into another: under other keys where the archetypes have changed, into other shards
// where the limits have changed much. It moves every record, and so is for an operator's change alone.

import type { Archetypes } from "./archetype.ts";
import { heirOf } from "./archetype.ts";
import type { EntryStore } from "./entry-store.ts";
import { archetypeAt, copyRecord, field } from "./entry-store.ts";

/** Whether every entry keeps its key and its archetype's number. */
export const sameKeys = (set: Archetypes, next: Archetypes): boolean =>
  next.all.length === set.all.length &&
  set.all.every((old) => {
    const heir = heirOf(old, next);
    return heir?.id === old.id && heir.offset === old.offset;
  });

/** `evict` is told the slot in `to` of each that found no room; those without an heir go unmentioned. */
export function moveEntries(
  from: EntryStore,
  set: Archetypes,
  to: EntryStore,
  next: Archetypes,
  evict: (slot: number) => void,
): void {
  const heirs = set.all.map((old) => ({ old, heir: heirOf(old, next) }));
  const keys = new Float64Array(from.size);
  const slots = new Uint32Array(from.size);
  let staying = 0;
  from.byUse(Number.POSITIVE_INFINITY, (key, slot) => {
    const { old, heir } = heirs[archetypeAt(from, slot)] ?? {};
    if (old === undefined || heir === undefined) return true;
    keys[staying] = key - old.offset + heir.offset;
    slots[staying] = slot;
    from.shorts[slot * from.words * 4 + field.archetype] = heir.id;
    staying += 1;
    return true;
  });
  // From the back to the front: an LRU takes in new keys at its front, and what it evicts was used least recently.
  for (let index = staying - 1; index >= 0; index -= 1) {
    const slot = to.add(keys[index] ?? 0, evict);
    copyRecord(from, slots[index] ?? 0, to, slot);
  }
}
