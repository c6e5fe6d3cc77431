// Figures of a scenario over many seeds: the median, the worst, and the seed of the worst, so that it can be played again.
// Those of a long run are kept, and docs/simulation.md is written from them (table.ts).

import type { Row, Target } from "./table.ts";
import { keep } from "./table.ts";

export interface Figures extends Row {
  add(seed: number, value: number | undefined): void;
  readonly mean: number;
  readonly median: number;
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

/** `title` ends in the unit, behind a comma. */
export function createFigures(title: string, target?: Target): Figures {
  const values: { seed: number; value: number }[] = [];
  const at = (share: number): number => {
    const all = values.map(({ value }) => value).sort((a, b) => a - b);
    return all[Math.min(all.length - 1, Math.floor(share * all.length))] ?? Number.NaN;
  };
  return {
    title,
    target,
    get seeds() {
      return new Set(values.map(({ seed }) => seed)).size;
    },
    /** Undefined, something that never came, is the worst. */
    add: (seed, value) => values.push({ seed, value: value ?? Number.POSITIVE_INFINITY }),
    get mean() {
      return values.reduce((sum, { value }) => sum + value, 0) / values.length;
    },
    get median() {
      return at(0.5);
    },
    get p99() {
      return at(0.99);
    },
    get worst() {
      return at(1);
    },
    get worstSeed() {
      const { worst } = this;
      return values.find(({ value }) => value === worst)?.seed;
    },
    toString() {
      return `${title}: mean ${round(this.mean)}, p99 ${round(this.p99)}, worst ${round(this.worst)} (seed ${this.worstSeed}), ${this.seeds} seeds`;
    },
  };
}

const round = (value: number): number => Math.round(value * 100) / 100;

/** Where somebody asked for a long run they are printed and kept. */
export function report(...figures: readonly Figures[]): void {
  if (!longRun) return;
  for (const figure of figures) console.log(String(figure));
  keep(figures);
}
