// How well callers were served: by class and phase, and second by second. Filled in the drivers' processes, sent as JSON.

import { percentile } from "../rig/statistics.ts";
import type { CallClass } from "./cast.ts";
import type { Phase } from "./evening.ts";
import { phaseAt } from "./evening.ts";

export interface Outcome {
  /** When it was asked. */
  readonly atMs: number;
  /** Until the answer that counts; undefined: there was none. */
  readonly ms?: number;
  /** Within the SLA. */
  readonly good: boolean;
  /** Of an intent: some valid action was there in time, be it the default. */
  readonly inTime?: boolean;
  /** Where an answer came from, or what became of it instead. */
  readonly why: string;
}

export interface Score {
  readonly asked: number;
  readonly good: number;
  readonly inTime: number;
  /** Of what was answered, late or not; null: nothing was. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  /** How often what, the most frequent first. */
  readonly why: readonly (readonly [why: string, times: number])[];
}

export interface ClassScores {
  readonly all: Score;
  /** By the phase's id. */
  readonly phases: Readonly<Record<string, Score>>;
  /** Asked and good, a pair for every second. */
  readonly seconds: readonly (readonly [asked: number, good: number])[];
}

export type Scores = Partial<Record<CallClass, ClassScores>>;

interface Sheet {
  asked: number;
  good: number;
  inTime: number;
  readonly ms: number[];
  readonly why: Map<string, number>;
}

export interface ScoreBook {
  /** What was asked before the first phase or after the last is nobody's. */
  note(of: CallClass, outcome: Outcome): void;
  scores(): Scores;
}

/** Reasons beyond these are summed up. */
const reasonsMost = 12;

export function createScoreBook(phases: readonly Phase[]): ScoreBook {
  const pages = new Map<CallClass, { all: Sheet; phases: Map<string, Sheet>; seconds: [number, number][] }>();
  const endMs = phases.at(-1)?.toMs ?? 0;

  return {
    note(of, outcome) {
      const { atMs, good } = outcome;
      const phase = phaseAt(phases, atMs);
      if (phase === undefined) return;
      let page = pages.get(of);
      if (page === undefined) {
        const seconds = Array.from({ length: Math.ceil(endMs / 1_000) }, (): [number, number] => [0, 0]);
        page = { all: emptySheet(), phases: new Map(), seconds };
        pages.set(of, page);
      }
      const sheet = page.phases.get(phase.id) ?? emptySheet();
      page.phases.set(phase.id, sheet);
      write(page.all, outcome);
      write(sheet, outcome);
      const second = page.seconds[Math.floor(atMs / 1_000)];
      if (second === undefined) return;
      second[0] += 1;
      if (good) second[1] += 1;
    },
    scores: () =>
      Object.fromEntries(
        [...pages].map(([of, { all, phases: sheets, seconds }]): [CallClass, ClassScores] => [
          of,
          {
            all: scoreOf(all),
            phases: Object.fromEntries([...sheets].map(([id, sheet]) => [id, scoreOf(sheet)])),
            seconds,
          },
        ]),
      ),
  };
}

const emptySheet = (): Sheet => ({ asked: 0, good: 0, inTime: 0, ms: [], why: new Map() });

function write(sheet: Sheet, { ms, good, inTime = good, why }: Outcome): void {
  sheet.asked += 1;
  if (good) sheet.good += 1;
  if (inTime) sheet.inTime += 1;
  if (ms !== undefined) sheet.ms.push(ms);
  sheet.why.set(why, (sheet.why.get(why) ?? 0) + 1);
}

function scoreOf({ asked, good, inTime, ms, why }: Sheet): Score {
  const sorted = [...why].sort(([, a], [, b]) => b - a);
  const rest = sorted.slice(reasonsMost).reduce((sum, [, times]) => sum + times, 0);
  const rounded = (value: number): number | null =>
    Number.isNaN(value) ? null : Math.round(value * 100) / 100;
  return {
    asked,
    good,
    inTime,
    p50Ms: rounded(percentile(ms, 0.5)),
    p99Ms: rounded(percentile(ms, 0.99)),
    why: [...sorted.slice(0, reasonsMost), ...(rest === 0 ? [] : [["other", rest] as const])],
  };
}

/** Share of what was asked, 0 to 1; nothing asked is nothing missed. */
export const attainment = (score: Pick<Score, "asked" | "good"> | undefined): number =>
  score === undefined || score.asked === 0 ? 1 : score.good / score.asked;
