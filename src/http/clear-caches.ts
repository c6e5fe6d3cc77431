// Clears what an operator wants cleared, be it said here or told by another router of the fleet.

import { cacheNames } from "../base/cache-control.ts";
import type { Clearing } from "../fleet/clearing.ts";
import type { Door } from "./door.ts";

type ClearParts = Pick<Door, "caches" | "log" | "onCacheCleared">;

/** Answers how many entries went. An archetype means the intents, whether or not they are named. */
export function clearCaches(
  { caches, onCacheCleared }: ClearParts,
  { cache, archetype, prefix }: Clearing,
  resetStats = false,
): number {
  const names = archetype !== undefined ? (["intents"] as const) : cache === undefined ? cacheNames : [cache];
  let cleared = 0;
  for (const name of names) {
    cleared += caches[name].clear({ archetype, prefix, resetStats });
    onCacheCleared(name);
  }
  return cleared;
}

/** `from`: the router that tells it. What it names and this one does not have is no mistake: configurations may differ. */
export function clearAsTold(parts: ClearParts, from: string, clearing: Clearing): void {
  const cleared = clearCaches(parts, clearing);
  parts.log.info({ from, ...clearing, cleared }, "cache cleared: told by a peer");
}
