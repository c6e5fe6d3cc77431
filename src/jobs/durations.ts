// How long the last jobs took, from acceptance to result.

/** Enough for a median, few enough to forget last hour's engine. */
export const durationsKept = 64;

export interface Durations {
  add(ms: number): void;
  /** Undefined where none is known. */
  medianMs(): number | undefined;
}

export function createDurations(): Durations {
  const kept: number[] = [];
  /** Asked for with each of the players' requests, and changed with a job. */
  let medianMs: number | undefined;
  return {
    add(ms) {
      kept.push(Math.max(0, ms));
      if (kept.length > durationsKept) kept.shift();
      medianMs = kept.toSorted((a, b) => a - b)[kept.length >> 1];
    },
    medianMs: () => medianMs,
  };
}
