// Answers NPC intents: from the table at once, from an engine within the deadline, else by default. Never late,
// never without a valid action.

import type { Clock, Instant } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { FleetView } from "../fleet/fleet.ts";
import type { Archetype, Archetypes } from "../intents/archetype.ts";
import type { IntentAnswer } from "../intents/intent-answer.ts";
import { newAnswer } from "../intents/intent-answer.ts";
import type { IntentTable } from "../intents/intent-table.ts";
import type { IntentTableLimits } from "../intents/table-limits.ts";
import type { RoutingPolicy } from "../routing/sla.ts";
import { createDeadlineGroups } from "./deadline-groups.ts";
import type { Dispatch } from "./dispatch.ts";
import type { Question, QuestionOutcome } from "./intent-questions.ts";
import { createIntentQuestions } from "./intent-questions.ts";
import { unhurried } from "./intent-queue.ts";

/** Items that may wait for an engine at once, some 300 B each; whoever comes beyond takes the default. */
export const intentsRule = { waitingMost: 65_536 } as const;

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
  fromTable(archetype: Archetype, situation: number, seed: number, now: Instant, into: IntentAnswer): boolean;
  /**
   * After a `fromTable` that said false: joins or asks an engine. `settle` is called exactly once, by the deadline at the latest,
   * perhaps before this returns, with a record that the receiver may keep.
   */
  wait(ask: IntentAsk, deadline: Instant, settle: (answer: IntentAnswer) => void): void;
  /** After a `fromTable` that said false, where the asker takes the default; `fill`: ask an engine for the next one. */
  settleFor(archetype: Archetype, situation: number, fill: boolean): void;
}

export interface IntentSettings extends IntentTableLimits {
  /** Above 0 and at most 1: the part of each endpoint's slots that intents may hold. */
  readonly engineShare: number;
}

export interface IntentLoad {
  /** Items that wait for an engine. */
  readonly waiting: number;
  /** Questions in the queue. */
  readonly queued: number;
  /** Questions at dispatch: at engines, or waiting for a slot. */
  readonly asked: number;
}

export interface AnsweringIntents extends Intents {
  readonly load: IntentLoad;
  /** Takes over another set at once. */
  reconfigure(archetypes: Archetypes, settings: IntentSettings): void;
  /** Whoever waits gets the default; no engine is asked any more. */
  stop(): void;
}

export interface IntentsParts {
  readonly table: IntentTable;
  readonly dispatch: Dispatch;
  readonly fleet: FleetView;
  /** The one in force: another object after each reload. */
  readonly policy: () => RoutingPolicy;
  readonly clock: Clock;
  readonly random: Random;
  readonly engineShare: number;
  readonly events: {
    questionEnded(outcome: QuestionOutcome): void;
    /** An engine of this host has answered, and not what it was asked. */
    engineMisanswered(endpoint: string): void;
  };
}

interface Waiter {
  readonly question: Question;
  readonly seed: number;
  /** Rounded down, so that a batch shares one timer and nobody is late by the rounding. */
  readonly deadline: Instant;
  readonly settle: (answer: IntentAnswer) => void;
  /** Among those who wait for the same question, so that one can leave without looking through all. */
  place: number;
}

const nobody: readonly Waiter[] = [];

export function createIntents(parts: IntentsParts): AnsweringIntents {
  const { table, clock, events } = parts;
  /** By what they wait for; a question that nobody waits for is not in here. */
  const waiters = new Map<Question, Waiter[]>();

  const deadlines = createDeadlineGroups<Waiter>(clock, (late) => {
    // All are out before the first hears of it, for hearing may lead to asking again.
    for (const waiter of late) leave(waiter);
    for (const waiter of late) tell(waiter, defaultOf(waiter.question.archetype));
  });

  const tell = ({ settle }: Waiter, answer: IntentAnswer): void => {
    try {
      settle(answer);
    } catch (error) {
      // A bug of one asker's: it is thrown where it stops nobody else from being told.
      clock.after(0, () => {
        throw error;
      });
    }
  };

  const leave = (waiter: Waiter): void => {
    const { question } = waiter;
    const all = waiters.get(question);
    const last = all?.pop();
    if (all === undefined || last === undefined) return;
    if (last !== waiter) {
      all[waiter.place] = last;
      last.place = waiter.place;
    }
    if (all.length > 0) return;
    waiters.delete(question);
    questions.want(question, unhurried);
  };

  const questions = createIntentQuestions({
    ...parts,
    now: clock.now,
    misanswered: events.engineMisanswered,
    ended(question, outcome, said) {
      events.questionEnded(outcome);
      const now = clock.now();
      const { archetype, situation } = question;
      const slot = said === undefined ? -1 : table.put(archetype, situation, said.odds, now);
      const waiting = waiters.get(question) ?? nobody;
      waiters.delete(question);
      for (const waiter of waiting) deadlines.remove(waiter, waiter.deadline);
      for (const waiter of waiting) {
        if (said === undefined) {
          tell(waiter, defaultOf(archetype));
          continue;
        }
        const answer = newAnswer();
        // Not kept: the table is disabled, or has got another set meanwhile. The NPC has its answer all the same.
        if (slot < 0) table.readOdds(said.odds, archetype, waiter.seed, answer);
        else table.read(slot, archetype, waiter.seed, now, answer);
        answer.source = said.locality === "peer" ? "peer" : "engine";
        tell(waiter, answer);
      }
    },
  });
  questions.reconfigure(table.archetypes, parts.engineShare);

  /** For whoever comes next. */
  const fillBehind = (archetype: Archetype, situation: number): void => {
    if (questions.underWay(archetype, situation) === undefined) {
      questions.ask(archetype, situation, unhurried);
    }
  };

  const wait: Intents["wait"] = ({ archetype, situation, seed }, until, settle) => {
    const deadline = Math.floor(until);
    const mayWait = deadline > clock.now() && deadlines.size < intentsRule.waitingMost;
    const joined = questions.underWay(archetype, situation);
    if (joined === undefined || !mayWait) table.missed(archetype);
    else table.joined(archetype);
    const question = joined ?? questions.ask(archetype, situation, mayWait ? deadline : unhurried);
    if (question === undefined || !mayWait) {
      settle(defaultOf(archetype));
      return;
    }
    if (joined !== undefined) questions.want(joined, deadline);
    const others = waiters.get(question);
    const waiter: Waiter = { question, seed, deadline, settle, place: others?.length ?? 0 };
    if (others === undefined) waiters.set(question, [waiter]);
    else others.push(waiter);
    deadlines.add(waiter, deadline);
  };

  return {
    get archetypes() {
      return table.archetypes;
    },
    get load() {
      return { waiting: deadlines.size, ...questions.load };
    },
    fromTable(archetype, situation, seed, now, into) {
      const slot = table.find(archetype, situation, now);
      if (slot < 0) {
        fillDefault(archetype, into);
        return false;
      }
      table.read(slot, archetype, seed, now, into);
      if (into.source === "stale") fillBehind(archetype, situation);
      return true;
    },
    wait,
    settleFor(archetype, situation, fill) {
      table.missed(archetype);
      if (fill) fillBehind(archetype, situation);
    },
    reconfigure(next, settings) {
      table.adopt(next, settings);
      questions.reconfigure(next, settings.engineShare);
    },
    stop: questions.stop,
  };
}

function fillDefault({ defaultIndex }: Archetype, into: IntentAnswer): void {
  into.action = defaultIndex;
  into.source = "default";
  into.confidence = 0;
  into.ageMs = 0;
  into.ttlMs = 0;
}

const defaultOf = ({ defaultIndex }: Archetype): IntentAnswer => ({ ...newAnswer(), action: defaultIndex });
