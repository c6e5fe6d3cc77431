// Judges what was measured by the budgets.

import type { Budget, MeasureId } from "../budgets.ts";
import { budgets, measures } from "../budgets.ts";
import type { Spread } from "./statistics.ts";
import { spreadOf } from "./statistics.ts";
import type { TargetName } from "./targets.ts";

export type Contestant = TargetName | "direct";

/** One figure a round, rounds in order. */
export type Samples = Partial<Record<Contestant, Partial<Record<MeasureId, number[]>>>>;

/** Adds a figure to those of the rounds before. */
export const recorder =
  (samples: Samples) =>
  (of: Contestant, measure: MeasureId, value: number): void => {
    samples[of] ??= {};
    const list = samples[of];
    list[measure] = [...(list[measure] ?? []), value];
  };

export interface Verdict {
  readonly budget: Budget;
  /** Of the figure that is judged, round by round. */
  readonly judged: Spread;
  readonly ours: Spread;
  readonly reference: Spread | undefined;
  readonly ok: boolean;
}

/** The median decides. A budget of which nothing was measured has no verdict. */
export function judge(samples: Samples): Verdict[] {
  return budgets.flatMap((budget) => {
    const ours = samples.tierline?.[budget.measure];
    const reference = budget.against && samples[budget.against]?.[budget.of ?? budget.measure];
    if (ours === undefined || (budget.against !== undefined && reference === undefined)) return [];
    const judged = spreadOf(ours.map((value, round) => compare(budget, value, reference?.[round] ?? 0)));
    const ok = budget.bound === "at least" ? judged.median >= budget.limit : judged.median <= budget.limit;
    return [{ budget, judged, ours: spreadOf(ours), reference: reference && spreadOf(reference), ok }];
  });
}

function compare({ judge: how }: Budget, ours: number, reference: number): number {
  if (how === "plain") return ours;
  return how === "ratio" ? ours / reference : ours - reference;
}

/** A judged figure and its limit in the words of the table. */
export function verdictText({ budget, judged, ours, reference, ok }: Verdict): readonly string[] {
  const { what, unit, digits } = measures[budget.measure];
  const judgedDigits = budget.judge === "ratio" ? 2 : digits;
  const suffix = { ratio: "×", difference: ` ${unit} more`, plain: ` ${unit}` }[budget.judge];
  return [
    what,
    `${show(ours.median, digits)} ${unit}`,
    referenceText(budget, reference),
    `${spreadText(judged, judgedDigits)}${suffix}`,
    `${budget.bound === "at least" ? "≥" : "≤"} ${budget.limit}`,
    ok ? "ok" : "BREACH",
  ];
}

function referenceText({ against, measure, of = measure }: Budget, reference: Spread | undefined): string {
  if (against === undefined) return "";
  const { what, digits } = measures[of];
  return `${against}${of === measure ? "" : `, ${what}:`} ${show(reference?.median ?? Number.NaN, digits)}`;
}

export const spreadText = ({ median, min, max }: Spread, digits: number): string =>
  min === max ? show(median, digits) : `${show(median, digits)} [${show(min, digits)}–${show(max, digits)}]`;

const show = (value: number, digits: number): string =>
  value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
