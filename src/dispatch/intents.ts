// Answers NPC intents: from the table at once, from an engine within the deadline, else by default. Never late,
// never without a valid action.

import type { Instant } from "../base/clock.ts";
import type { Archetype, Archetypes } from "../intents/archetype.ts";
import type { IntentAnswer } from "../intents/intent-answer.ts";

/** One NPC's question. */
export interface IntentAsk {
  readonly archetype: Archetype;
  /** The situation code: `0 … archetype.situations - 1`. */
  readonly situation: number;
  /** Of the NPC; draws its own action where `pick` is "sample". */
  readonly seed: number;
}

export interface Intents {
  /** The ones in force. An `Archetype` of an earlier set is still answered, by default where nothing is known. */
  readonly archetypes: Archetypes;
  /**
   * Fills `into` from the table and starts a refresh behind where the entry is stale. False: nothing usable is known,
   * `into` holds the default, and the miss is not counted yet: `wait` or `settleFor` does.
   */
  fromTable(archetype: Archetype, situation: number, seed: number, into: IntentAnswer): boolean;
  /**
   * After a `fromTable` that said false: joins or asks an engine. `settle` is called exactly once, by the deadline at the latest,
   * perhaps before this returns, with a record that the receiver may keep.
   */
  wait(ask: IntentAsk, deadline: Instant, settle: (answer: IntentAnswer) => void): void;
  /** After a `fromTable` that said false, where the asker takes the default; `fill`: ask an engine for the next one. */
  settleFor(archetype: Archetype, situation: number, fill: boolean): void;
}
