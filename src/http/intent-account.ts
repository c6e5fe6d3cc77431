// Counts the answers to intents, by archetype and source, and how long they took. There are millions, so the series
// are looked up once and an answer from the table costs one addition.

import { observeMany } from "../base/histogram.ts";
import type { Archetype } from "../intents/archetype.ts";
import type { Source } from "../intents/intent-answer.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Counter } from "../telemetry/registry.ts";
import { perArchetype } from "./per-archetype.ts";

export interface IntentAccount {
  answered(archetype: Archetype, source: Source): void;
  /** An item that names nothing that exists here, or is wrong in itself. */
  refused(): void;
  /** So many answers were ready this long after their request had come. */
  took(ms: number, answers: number): void;
}

export function createIntentAccount({
  intents,
  intentSeconds,
}: Pick<Metrics, "intents" | "intentSeconds">): IntentAccount {
  const countersOf = perArchetype(({ name }): Readonly<Record<Source, Counter>> => {
    const of = (source: Source): Counter => intents.with(name, source);
    return {
      fresh: of("fresh"),
      stale: of("stale"),
      engine: of("engine"),
      peer: of("peer"),
      default: of("default"),
    };
  });
  const seconds = intentSeconds.with();
  return {
    answered: (archetype, source) => countersOf(archetype)[source].add(1),
    // Never the name that the caller gave: labels come from closed lists.
    refused: () => intents.with("none", "refused").add(1),
    took(ms, answers) {
      observeMany(seconds, ms / 1000, answers);
    },
  };
}
