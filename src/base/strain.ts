// How far something that this host has only so much of is used up, and what follows: steps with a share of the limit at
// which each begins, and a lower one below which it ends, so that a figure at the border does not make it flap.

/** What there can be too little of. */
export const scarce = ["descriptors", "memory"] as const;
export type Scarce = (typeof scarce)[number];

export interface Strain {
  /** Each answer closes its connection, and with it gives back what that held. */
  readonly closing: boolean;
  /** What there is too little of for new requests; undefined: they are taken. */
  readonly shedding: Scarce | undefined;
  /** Told of each request that is not taken. */
  refused(because: Scarce): void;
}

export interface StrainStep {
  readonly name: string;
  readonly from: number;
  readonly until: number;
}

/** Of the memory that the process may take. */
export const memorySteps = [
  { name: "caches halved", from: 0.85, until: 0.75 },
  { name: "connections closed", from: 0.92, until: 0.88 },
  { name: "requests refused", from: 0.95, until: 0.9 },
] as const satisfies readonly StrainStep[];

/** Of the file descriptors that the process may have. A request under way is two of them, a caller's and an engine's. */
export const descriptorSteps = [
  { name: "connections closed", from: 0.4, until: 0.35 },
  { name: "requests refused", from: 0.5, until: 0.45 },
  { name: "listener shut", from: 0.75, until: 0.5 },
] as const satisfies readonly StrainStep[];

/** Which of the steps it is at, counted from 1; 0: at none. `before`: where it was when it was looked at last. */
export function stepAt(steps: readonly StrainStep[], share: number, before: number): number {
  for (let step = steps.length; step > 0; step -= 1) {
    const row = steps[step - 1];
    if (row === undefined) continue;
    if (share >= row.from || (step <= before && share >= row.until)) return step;
  }
  return 0;
}
