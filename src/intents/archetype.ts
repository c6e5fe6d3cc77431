// What an NPC of a kind may see and do: the features that make up its situation, and the actions to choose from. And a
// set of such kinds: which numbers are whose situations, and what clients are told of them.

import { hash32 } from "../base/hash32.ts";
import type { Feature, FeatureDescription } from "./feature.ts";
import { describeFeature, radixOf } from "./feature.ts";

/** At most so many actions: one letter each, and vLLM tells the odds of no more (`max_logprobs`). */
export const actionsMost = 20;

/** At most so many situations of all archetypes together: below it every whole number is exact. */
export const situationsMost = 2 ** 53;

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

/** What a feature is worth in the situation code: its bucket times `weight`. */
export interface Place {
  readonly feature: Feature;
  readonly weight: number;
}

export interface Archetype extends ArchetypeRule {
  /** Its place in the configuration; the frame's u16. */
  readonly id: number;
  /** Index into `actions`. */
  readonly defaultIndex: number;
  /** By the feature's name, in the order of `features`. */
  readonly places: ReadonlyMap<string, Place>;
  /** The same in a list. */
  readonly placesInOrder: readonly Place[];
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

/** Answered by `GET /v1/npc/archetypes`; the epoch is made of it, so no client can miss a change that it could see. */
export interface ArchetypeDescription {
  readonly id: number;
  readonly name: string;
  readonly actions: readonly string[];
  readonly default: string;
  readonly ttl_ms: number;
  readonly stale_ms: number;
  readonly features: readonly FeatureDescription[];
}

/** Of rules that are checked: names differ, the default is among the actions, `firstWithoutRoom` finds none. */
export function createArchetypes(rules: readonly ArchetypeRule[]): Archetypes {
  const all: Archetype[] = [];
  let offset = 0;
  for (const [id, rule] of rules.entries()) {
    const situations = situationsOf(rule.features);
    const places = placesOf(rule.features);
    all.push({
      ...rule,
      id,
      defaultIndex: rule.actions.indexOf(rule.defaultAction),
      places,
      placesInOrder: [...places.values()],
      situations,
      offset,
      fingerprint: fingerprintOf(rule),
    });
    offset += situations;
  }
  const byName = new Map(all.map((archetype) => [archetype.name, archetype]));
  return {
    epoch: hash32(JSON.stringify(all.map(describeArchetype))),
    all,
    named: (name) => byName.get(name),
  };
}

/** How many situations the features tell apart; beyond `situationsMost` only roughly. */
export const situationsOf = (features: readonly Feature[]): number =>
  features.reduce((product, feature) => product * radixOf(feature), 1);

/** The index of the first archetype whose situations no longer fit below `situationsMost`; undefined: all fit. */
export function firstWithoutRoom(
  rules: readonly { readonly features: readonly Feature[] }[],
): number | undefined {
  let left = situationsMost;
  for (const [index, { features }] of rules.entries()) {
    const situations = situationsOf(features);
    if (situations > left) return index;
    left -= situations;
  }
  return undefined;
}

export function describeArchetype(archetype: Archetype): ArchetypeDescription {
  const { id, name, actions, defaultAction, ttlMs, staleMs, features } = archetype;
  return {
    id,
    name,
    actions,
    default: defaultAction,
    ttl_ms: ttlMs,
    stale_ms: staleMs,
    features: features.map(describeFeature),
  };
}

function placesOf(features: readonly Feature[]): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>();
  let weight = 1;
  for (const feature of features) {
    places.set(feature.name, { feature, weight });
    weight *= radixOf(feature);
  }
  return places;
}

/** Of what the engine is asked: the entry keeps its odds, so neither the pick nor the times change what it means. */
const fingerprintOf = ({ prompt, actions, features, temperature, model }: ArchetypeRule): number =>
  hash32(JSON.stringify([prompt, actions, features.map(describeFeature), temperature, model ?? null]));

/** The archetype of a set for which the entries of `old` still mean the same. */
export function heirOf(old: Archetype, next: Archetypes): Archetype | undefined {
  const heir = next.named(old.name);
  return heir?.fingerprint === old.fingerprint ? heir : undefined;
}
