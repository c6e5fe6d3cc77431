// What an NPC of a kind may see and do: the features that make up its situation, and the actions to choose from.

import type { Feature } from "./feature.ts";

/** At most so many actions: one letter each, and vLLM tells the odds of no more (`max_logprobs`). */
export const actionsMost = 20;

/** How an NPC's action is taken from the odds: the likeliest, or drawn by them, so that a crowd differs. */
export const picks = ["best", "sample"] as const;
export type Pick = (typeof picks)[number];

/** As the operator writes it, checked. */
export interface ArchetypeRule {
  readonly name: string;
  /** The stable part of the prompt. */
  readonly prompt: string;
  readonly actions: readonly string[];
  /** One of `actions`. */
  readonly defaultAction: string;
  readonly pick: Pick;
  /** Of the engine's sampling. */
  readonly temperature: number;
  /** A model's, alias's or tier's name; undefined: whatever the realtime ladder serves. */
  readonly model: string | undefined;
  /** Until an entry is stale. */
  readonly ttlMs: number;
  /** How long a stale entry still answers, after `ttlMs`. */
  readonly staleMs: number;
  /** In config order, which is the order of the situation code. */
  readonly features: readonly Feature[];
}

export interface Archetype extends ArchetypeRule {
  /** Its place in the configuration; the frame's u16. */
  readonly id: number;
  /** Index into `actions`. */
  readonly defaultIndex: number;
  /** How many situations there are: the product of the features' radices. */
  readonly situations: number;
  /** Key of its situation 0; its keys are `offset … offset + situations - 1`. Disjoint from all others'. */
  readonly offset: number;
  /** Hash of everything that an entry's meaning depends on: with another one, entries are worthless. */
  readonly fingerprint: number;
}

export interface Archetypes {
  /** 32-bit hash of everything that binary clients depend on. */
  readonly epoch: number;
  /** By id. */
  readonly all: readonly Archetype[];
  named(name: string): Archetype | undefined;
}
