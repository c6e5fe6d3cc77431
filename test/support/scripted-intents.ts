// Intents that know what a test tells them, and ask nobody: what would have waited is held until the test settles it.

import type { Instant } from "../../src/base/clock.ts";
import type { IntentAsk, Intents } from "../../src/dispatch/intents.ts";
import type { Archetype, Archetypes } from "../../src/intents/archetype.ts";
import type { IntentAnswer } from "../../src/intents/intent-answer.ts";

export interface HeldAsk {
  readonly ask: IntentAsk;
  readonly deadline: Instant;
  settle(answer: Partial<IntentAnswer>): void;
}

export interface ScriptedIntents extends Intents {
  /** As a reload would. */
  archetypes: Archetypes;
  readonly held: HeldAsk[];
  /** What `settleFor` was told: the situation, and whether to ask an engine behind. */
  readonly settled: [situation: number, fill: boolean][];
}

/** What is in the table; undefined: nothing. */
export type Table = (
  archetype: Archetype,
  situation: number,
  seed: number,
) => Partial<IntentAnswer> | undefined;

export function scriptedIntents(archetypes: Archetypes, table: Table): ScriptedIntents {
  const held: HeldAsk[] = [];
  const settled: [number, boolean][] = [];
  const byDefault = ({ defaultIndex }: Archetype): IntentAnswer => ({
    action: defaultIndex,
    source: "default",
    confidence: 0,
    ageMs: 0,
    ttlMs: 0,
  });
  return {
    archetypes,
    held,
    settled,
    fromTable(archetype, situation, seed, _now, into) {
      const known = table(archetype, situation, seed);
      Object.assign(into, byDefault(archetype), known === undefined ? {} : { source: "fresh" }, known);
      return known !== undefined;
    },
    wait(ask, deadline, settle) {
      held.push({
        ask,
        deadline,
        settle: (answer) => settle({ ...byDefault(ask.archetype), source: "engine", ...answer }),
      });
    },
    settleFor(_, situation, fill) {
      settled.push([situation, fill]);
    },
  };
}
