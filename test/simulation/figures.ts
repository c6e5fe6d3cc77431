// Figures of a scenario over many seeds: the mean, the worst, and the seed of the worst, so that it can be played again.

export interface Figures {
  add(seed: number, value: number | undefined): void;
  readonly mean: number;
  readonly p99: number;
  readonly worst: number;
  /** One line for people. */
  toString(): string;
}

/** Scenarios beyond the normal run: more seeds and larger fleets. */
export const longRun = process.env["TIERLINE_SEEDS"] !== undefined;

const askedSeeds = Number(process.env["TIERLINE_SEEDS"] ?? 0);

/** So many seeds in the normal run; in the long one as many as were asked for, within what is bearable. */
export const seedsOf = (normal: number, most: number): readonly number[] =>
  Array.from({ length: longRun ? Math.min(most, Math.max(normal, askedSeeds)) : normal }, (_, seed) => seed);

export function createFigures(title: string): Figures {
  const values: { seed: number; value: number }[] = [];
  const sorted = (): number[] => values.map(({ value }) => value).sort((a, b) => a - b);
  const at = (share: number): number => {
    const all = sorted();
    return all[Math.min(all.length - 1, Math.floor(share * all.length))] ?? Number.NaN;
  };
  return {
    /** Undefined, something that never came, is the worst. */
    add: (seed, value) => values.push({ seed, value: value ?? Number.POSITIVE_INFINITY }),
    get mean() {
      return values.reduce((sum, { value }) => sum + value, 0) / values.length;
    },
    get p99() {
      return at(0.99);
    },
    get worst() {
      return at(1);
    },
    toString() {
      const worstSeed = values.find(({ value }) => value === this.worst)?.seed;
      return `${title}: mean ${round(this.mean)}, p99 ${round(this.p99)}, worst ${round(this.worst)} (seed ${worstSeed}), ${values.length} seeds`;
    },
  };
}

const round = (value: number): number => Math.round(value * 100) / 100;

/** The table is printed where somebody asked for a long run. */
export function report(...figures: readonly Figures[]): void {
  if (longRun) for (const figure of figures) console.log(String(figure));
}
