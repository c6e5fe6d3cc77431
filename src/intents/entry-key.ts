// What an entry of the intent table is called outside: `<archetype>/<situation>`. Prefixes are asked of this text, and
// a page begins after it; the table itself knows numbers only.

import type { Archetype, Archetypes } from "./archetype.ts";

export const keyText = (archetype: Archetype, situation: number): string => `${archetype.name}/${situation}`;

/** Undefined for what no archetype in force can have written. An archetype's name may hold any sign. */
export function readKey(
  text: string,
  archetypes: Archetypes,
): { readonly archetype: Archetype; readonly situation: number } | undefined {
  const parts = /^(.*)\/(\d{1,16})$/s.exec(text);
  const archetype = archetypes.named(parts?.[1] ?? "");
  if (parts === null || archetype === undefined) return undefined;
  return { archetype, situation: Number(parts[2]) };
}

/** Whether a key is one of this archetype's (undefined: of any) and its text begins with `prefix`. */
export function matching(
  archetypes: Archetypes,
  name: string | undefined,
  prefix = "",
): (archetype: Archetype, key: number) => boolean {
  // What the situation's digits must begin with, by id, so that a million texts need not be written.
  const digits = archetypes.all.map((archetype) => {
    if (name !== undefined && name !== archetype.name) return undefined;
    const stem = `${archetype.name}/`;
    if (stem.startsWith(prefix)) return "";
    return prefix.startsWith(stem) ? prefix.slice(stem.length) : undefined;
  });
  return (archetype, key) => {
    const wanted = digits[archetype.id];
    return wanted !== undefined && (wanted === "" || String(key - archetype.offset).startsWith(wanted));
  };
}
