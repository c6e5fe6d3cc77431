// How large a cache and how long a life an operator may ask for, in the configuration and at run time alike.

export interface Bounds {
  /** Both ends belong to it. */
  readonly from: number;
  readonly to: number;
}

export const cacheBounds = {
  /** Far above a game's situations; some 100 bytes each are a gigabyte. */
  entries: { from: 1, to: 10_000_000 },
  /** A megabyte is 1,000,000 bytes. Half of a large host's memory. */
  memoryMb: { from: 0.001, to: 1_000_000 },
  /** Up to a year. */
  ttlSeconds: { from: 0.001, to: 31_536_000 },
} as const satisfies Record<string, Bounds>;

export const bytesPerMb = 1_000_000;
