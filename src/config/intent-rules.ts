// What the parts of an archetype demand of each other: its actions and default, its features, and all situations together.

import { tiers } from "../fleet/endpoint.ts";
import { firstWithoutRoom, situationsMost, situationsOf } from "../intents/archetype.ts";
import { slaClasses } from "../routing/sla.ts";
import { toFeature } from "./config.ts";
import { nearest } from "./did-you-mean.ts";
import type { Path } from "./path.ts";
import type { Values } from "./schema.ts";
import type { Sources } from "./sources.ts";

/** A file with more is generated, and its generator is wrong. Binary clients could tell 65,536 apart. */
const archetypesMost = 1024;

/** Of one archetype: with two buckets each, already 4 billion situations. */
const featuresMost = 32;

const names = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/;
const namesAre = "letters, digits, _ and -, a letter first, at most 64";

type Archetype = Values["intents"]["archetype"][string];
type Feature = Archetype["feature"][string];

const archetypesOf = ({ intents }: Values) => Object.entries(intents.archetype);
const placeIn = (archetype: string, ...rest: Path): Path => ["intents", "archetype", archetype, ...rest];

export function* archetypeNamesAreNames(values: Values, sources: Sources) {
  for (const [name, { feature }] of archetypesOf(values)) {
    if (!names.test(name)) {
      const what = `the archetype ${JSON.stringify(name)} has no name that clients can rely on`;
      yield sources.keyProblem(placeIn(name), what, namesAre);
    }
    for (const seen of Object.keys(feature)) {
      if (names.test(seen)) continue;
      const what = `the feature ${JSON.stringify(seen)} of ${name} has no name that clients can rely on`;
      yield sources.keyProblem(placeIn(name, "feature", seen), what, namesAre);
    }
  }
}

export function* archetypesAreFew(values: Values, sources: Sources) {
  const all = archetypesOf(values);
  const beyond = all[archetypesMost];
  if (beyond) {
    const what = `there are ${all.length} archetypes, and ${archetypesMost} is the most`;
    yield sources.keyProblem(placeIn(beyond[0]), what, "let kinds of NPC that act alike share one");
  }
  for (const [name, { feature }] of all) {
    const seen = Object.keys(feature);
    const first = seen[featuresMost];
    if (first === undefined) continue;
    const what = `the archetype ${name} has ${seen.length} features, and ${featuresMost} is the most`;
    const hint = "leave out what does not change its mind: every feature multiplies the situations";
    yield sources.keyProblem(placeIn(name, "feature", first), what, hint);
  }
}

export function* actionsDiffer(values: Values, sources: Sources) {
  for (const [name, { actions }] of archetypesOf(values)) {
    yield* repeated(placeIn(name, "actions"), actions, "the odds are told of each action once", sources);
  }
}

export function* defaultIsAnAction(values: Values, sources: Sources) {
  for (const [name, { actions, default: written }] of archetypesOf(values)) {
    if (actions.includes(written)) continue;
    const path = placeIn(name, "default");
    const near = nearest(written, actions);
    yield sources.problem(
      path,
      `${sources.called(path)} is ${JSON.stringify(written)}, which is none of its actions`,
      near === undefined ? `its actions: ${actions.join(", ")}` : `did you mean ${JSON.stringify(near)}?`,
    );
  }
}

export function* featuresAreOneThing(values: Values, sources: Sources) {
  for (const [path, feature] of featuresOf(values)) {
    const kinds = kindsOf(feature);
    const called = sources.called(path);
    if (kinds.length === 0) {
      const hint = 'write buckets = [0.5] for a number, bool = true, or oneof = ["a", "b"]';
      yield sources.keyProblem(path, `${called} says nothing of its values`, hint);
    } else if (kinds.length > 1) {
      const hint = "a feature is one of them: keep that, or make it two features";
      yield sources.keyProblem(path, `${called} has ${kinds.join(" and ")}`, hint);
    } else if (feature.unit !== undefined && feature.buckets === undefined) {
      const hint = "only numbers, written as buckets, have a unit: take it out";
      yield sources.keyProblem([...path, "unit"], `${called} has a unit, but is ${kinds[0]}`, hint);
    }
  }
}

const kindsOf = (feature: Feature): string[] =>
  (["buckets", "bool", "oneof"] as const).filter((kind) => feature[kind] !== undefined);

export function* edgesAscend(values: Values, sources: Sources) {
  for (const [path, { buckets = [] }] of featuresOf(values)) {
    const wrong = buckets.findIndex((edge, index) => index > 0 && edge <= (buckets[index - 1] ?? edge));
    if (wrong === -1) continue;
    const order = [...new Set(buckets)].sort((left, right) => left - right);
    yield sources.problem(
      [...path, "buckets", wrong],
      `${sources.called([...path, "buckets"])} goes from ${buckets[wrong - 1]} to ${buckets[wrong]}, and edges must rise`,
      order.length > 20 ? "write them in ascending order, each once" : `in order: [${order.join(", ")}]`,
    );
  }
}

export function* oneofValuesDiffer(values: Values, sources: Sources) {
  for (const [path, { oneof = [] }] of featuresOf(values)) {
    yield* repeated(
      [...path, "oneof"],
      oneof,
      "each value is one situation: take one of the two out",
      sources,
    );
  }
}

export function* situationsFit(values: Values, sources: Sources) {
  const all = archetypesOf(values).map(([name, { feature }]) => ({
    name,
    features: Object.entries(feature).map(toFeature),
  }));
  const index = firstWithoutRoom(all);
  const first = index === undefined ? undefined : all[index];
  if (index === undefined || first === undefined) return;
  const before = all.slice(0, index).reduce((sum, { features }) => sum + situationsOf(features), 0);
  const own = situationsOf(first.features);
  const has = `the archetype ${first.name} has ${counted(own)} ${own === 1 ? "situation" : "situations"}`;
  const room = `${counted(situationsMost - before)} of ${counted(situationsMost)}`;
  yield sources.keyProblem(
    placeIn(first.name),
    index === 0
      ? `${has}, and ${counted(situationsMost)} is the most`
      : `${has}, and those before it leave ${room}`,
    "leave out features, or give them fewer buckets: their numbers multiply",
  );
}

/** Beyond what people can read, its size. */
const counted = (count: number): string =>
  count > situationsMost * 1000 ? count.toExponential(1) : count.toLocaleString("en-US");

/** Without peers it is one of this host's engines', or the question has no one to ask. */
export function* modelsLeadSomewhere(values: Values, sources: Sources) {
  const { engine, aliases, listen } = values;
  if (engine.length === 0 || listen.gossip !== undefined) return;
  for (const [name, { model }] of archetypesOf(values)) {
    if (model === undefined || Object.hasOwn(aliases, model)) continue;
    if ([...tiers, ...slaClasses].some((known) => known === model)) continue;
    if (engine.some(({ models }) => models === undefined || models.includes(model))) continue;
    yield sources.problem(
      placeIn(name, "model"),
      `the archetype ${name} asks ${model}, which no engine lists under models`,
      "name a model, an alias or a tier; until then its default answers",
    );
  }
}

function* featuresOf(values: Values): Iterable<readonly [Path, Feature]> {
  for (const [name, { feature }] of archetypesOf(values)) {
    for (const [seen, one] of Object.entries(feature)) yield [placeIn(name, "feature", seen), one];
  }
}

function* repeated(path: Path, items: readonly string[], hint: string, sources: Sources) {
  for (const [index, item] of items.entries()) {
    if (items.indexOf(item) === index) continue;
    const what = `${sources.called(path)} names ${JSON.stringify(item)} twice`;
    yield sources.problem([...path, index], what, hint);
  }
}
