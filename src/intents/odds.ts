// The odds of an archetype's actions as a row of running sums in 16 bits: a share is exact to 1/65535, an action
// without a share is never drawn, and drawing compares once an action. Knows nothing of entries and their times.

import { mix32 } from "../base/hash32.ts";
import type { Pick } from "./archetype.ts";
import type { IntentAnswer } from "./intent-answer.ts";

/** The last of every row. */
export const whole = 65_535;

/**
 * Writes the row at `into[at]`, and to the end of its `room` repeats the last sum, which gives nobody a share.
 * Answers the likeliest action, the first of equals.
 */
export function writeOdds(
  odds: ArrayLike<number>,
  actions: number,
  into: Uint16Array,
  at: number,
  room: number,
): number {
  if (odds.length !== actions) throw new RangeError(`there are ${odds.length} odds for ${actions} actions`);
  let best = 0;
  let sum = 0;
  for (let action = 0; action < actions; action += 1) {
    const chance = odds[action] ?? Number.NaN;
    if (!(chance >= 0))
      throw new RangeError(`odds are numbers from 0 up, and action ${action} has ${chance}`);
    if (chance > (odds[best] ?? 0)) best = action;
    sum += chance;
  }
  if (!(sum > 0 && sum < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`odds have a finite sum above 0, and these have ${sum}`);
  }
  let running = 0;
  for (let action = 0; action < room; action += 1) {
    if (action < actions) running += odds[action] ?? 0;
    into[at + action] = Math.round((running / sum) * whole);
  }
  return best;
}

/** 0 to 1. */
export const shareAt = (sums: Uint16Array, at: number, action: number): number =>
  ((sums[at + action] ?? 0) - (action === 0 ? 0 : (sums[at + action - 1] ?? 0))) / whole;

/** The one action of this NPC for as long as the generation stays; over all seeds, by the odds. */
export function drawAt(sums: Uint16Array, at: number, seed: number, generation: number): number {
  // Below `whole`, so that the last sum stops every search.
  const point = Math.floor((mix32(seed, generation) * whole) / 2 ** 32);
  let action = 0;
  while ((sums[at + action] ?? whole) <= point) action += 1;
  return action;
}

/** Fills in the action by the archetype's pick, and its share. */
export function pickAt(
  sums: Uint16Array,
  at: number,
  best: number,
  generation: number,
  pick: Pick,
  seed: number,
  into: IntentAnswer,
): void {
  const action = pick === "best" ? best : drawAt(sums, at, seed, generation);
  into.action = action;
  into.confidence = shareAt(sums, at, action);
}

/** False: no engine can have meant this row. */
export function isRow(sums: Uint16Array, at: number, actions: number, best: number): boolean {
  for (let action = 1; action < actions; action += 1) {
    if ((sums[at + action] ?? 0) < (sums[at + action - 1] ?? 0)) return false;
  }
  return sums[at + actions - 1] === whole && best < actions && shareAt(sums, at, best) > 0;
}
