// What callers of a fleet complain of, in a form that a failed test can show, and figures for whoever wants them.

import type { CallerAnswer } from "./fleet-caller.ts";

/** `TIERLINE_LONG=1` makes faults last as long as they do in earnest; with any value figures are printed. */
export const longRun = process.env["TIERLINE_LONG"] === "1";

/** One line for every kind of failure, with how often and when; an answer that is `ok` is none. */
export function failuresOf(
  answers: readonly CallerAnswer[],
  counts: (answer: CallerAnswer) => boolean = () => true,
): string[] {
  const began = Math.min(...answers.map(({ askedAtMs }) => askedAtMs));
  const kinds = new Map<string, number[]>();
  for (const answer of answers) {
    const { end, begun, door, model, stream, askedAtMs, endpoint } = answer;
    if (end === "ok" || !counts(answer)) continue;
    const kind = `${model}${stream ? " streamed" : ""} at ${door} by ${endpoint ?? "nobody"}${begun ? ", begun" : ""}: ${end}`;
    const times = kinds.get(kind) ?? [];
    times.push(Math.round(askedAtMs - began));
    kinds.set(kind, times);
  }
  return [...kinds].map(
    ([kind, times]) => `${times.length}x ${kind} (asked at ms ${times.slice(0, 10).join()})`,
  );
}

/** What had begun when it broke: nobody could ask again in its caller's place. */
export const hadBegun = ({ begun }: CallerAnswer): boolean => begun;
export const hadNotBegun = ({ begun }: CallerAnswer): boolean => !begun;

export function showFigures(what: string, figures: Readonly<Record<string, unknown>>): void {
  if (process.env["TIERLINE_LONG"] !== undefined) console.log(what, JSON.stringify(figures));
}
