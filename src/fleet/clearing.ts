// What an operator has cleared from the caches of one router, as every other router of the fleet is told.

import type { CacheName } from "../base/cache-control.ts";

export interface Clearing {
  /** Undefined: all caches. */
  readonly cache: CacheName | undefined;
  readonly archetype: string | undefined;
  readonly prefix: string | undefined;
}
