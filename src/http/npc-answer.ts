// What a JSON caller reads about one item: an intent, or why there is none. Written piece by piece, which is several
// times faster than making an object first; a property test holds it against JSON.stringify.

import type { Archetype } from "../intents/archetype.ts";
import type { IntentAnswer, Source } from "../intents/intent-answer.ts";
import { promptOf } from "../intents/prompt.ts";
import type { ItemError } from "../intents/read-situation.ts";
import { unpackSituation } from "../intents/situation.ts";
import type { JsonBytes, Piece } from "./json-bytes.ts";
import { pieceOf } from "./json-bytes.ts";
import { perArchetype } from "./per-archetype.ts";

const intentsOf = perArchetype(({ actions }) =>
  actions.map((action, index) =>
    pieceOf(`"intent":${JSON.stringify(action)},"action":${index},"confidence":`),
  ),
);

const said = (source: Source): Piece => pieceOf(`,"source":"${source}","age_ms":`);
const sourcePieces: Readonly<Record<Source, Piece>> = {
  fresh: said("fresh"),
  stale: said("stale"),
  engine: said("engine"),
  peer: said("peer"),
  default: said("default"),
};

const open = pieceOf("{");
const npcIs = pieceOf('{"npc":');
const comma = pieceOf(",");
const ttlIs = pieceOf(',"ttl_ms":');
const situationIs = pieceOf(',"situation":');
const errorIs = pieceOf('"error":');
const close = pieceOf("}");

export function writeAnswer(
  json: JsonBytes,
  npc: number | string | undefined,
  archetype: Archetype,
  situation: number,
  { action, source, confidence, ageMs, ttlMs }: IntentAnswer,
  explain: boolean,
): void {
  const intent = intentsOf(archetype)[action];
  if (intent === undefined) throw new Error(`${archetype.name} has no action ${action}`);
  writeOpening(json, npc);
  json.put(intent);
  json.share(confidence);
  json.put(sourcePieces[source]);
  json.number(Math.floor(ageMs));
  json.put(ttlIs);
  json.number(Math.floor(ttlMs));
  json.put(situationIs);
  json.number(situation);
  if (explain) json.text(explanation(archetype, situation));
  json.put(close);
}

export function writeError(json: JsonBytes, npc: number | string | undefined, error: ItemError): void {
  writeOpening(json, npc);
  json.put(errorIs);
  json.text(JSON.stringify(error));
  json.put(close);
}

function writeOpening(json: JsonBytes, npc: number | string | undefined): void {
  if (npc === undefined) {
    json.put(open);
    return;
  }
  json.put(npcIs);
  if (typeof npc === "number") json.number(npc);
  else json.text(JSON.stringify(npc));
  json.put(comma);
}

function explanation(archetype: Archetype, situation: number): string {
  const buckets = unpackSituation(situation, archetype);
  const named = Object.fromEntries(archetype.features.map(({ name }, index) => [name, buckets[index]]));
  return `,"buckets":${JSON.stringify(named)},"prompt":${JSON.stringify(promptOf(archetype, situation))}`;
}
