// Holds caches to half of what they weigh while memory is short, and gives them back their limits when it is not. What
// an operator sets in between is the operator's, and stays.

import type { CacheControl } from "./cache-control.ts";

export interface HalvedCaches {
  /** Answers how many bytes went. Halved again only after `restore`. */
  halve(): number;
  restore(): void;
}

/** A cache is not held below this: what it could still give back is not worth its answers. */
const heldBytesLeast = 1_000_000;

export function createHalvedCaches(caches: readonly CacheControl[]): HalvedCaches {
  let held: { readonly cache: CacheControl; readonly ownBytes: number; readonly heldBytes: number }[] = [];
  return {
    halve() {
      if (held.length > 0) return 0;
      let freed = 0;
      for (const cache of caches) {
        const before = cache.stats().bytes;
        const ownBytes = cache.settings().maxBytes;
        const heldBytes = Math.min(ownBytes, Math.max(heldBytesLeast, Math.floor(before / 2)));
        cache.configure({ maxBytes: heldBytes });
        freed += before - cache.stats().bytes;
        held.push({ cache, ownBytes, heldBytes });
      }
      return freed;
    },
    restore() {
      for (const { cache, ownBytes, heldBytes } of held) {
        if (cache.settings().maxBytes === heldBytes) cache.configure({ maxBytes: ownBytes });
      }
      held = [];
    },
  };
}
