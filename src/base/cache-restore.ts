// Entries of an earlier life on their way back into a cache: in steps, because the loop has others to serve.

export interface CacheRestore {
  /** Takes up to `count` more entries. False: there are no more. */
  step(count: number): boolean;
  /** So far. */
  readonly restored: number;
  /** So far: too old, meaning something else by now, or without room. */
  readonly dropped: number;
}

/** Why bytes bring nothing back. */
export type RestoreRefusal = "foreign-epoch" | "damaged";
