// One item of a JSON request, read into a record that the asker hands in, because there are a thousand in a batch.
// What its features mean is read-situation.ts.

import { hash32 } from "../base/hash32.ts";
import { isRecord } from "../base/is-record.ts";
import type { Archetype, Archetypes } from "./archetype.ts";
import { few, inWords, quoted } from "./in-words.ts";
import type { ItemError } from "./read-situation.ts";
import { readSituation } from "./read-situation.ts";

/** A longer wait is no intent any more. */
const deadlineMostMs = 10_000;

export interface IntentItem {
  /** Echoed; undefined where the item names none, or nothing that could be echoed. */
  npc: number | string | undefined;
  /** Of the NPC: its number as the frame has it, or its name's hash. */
  seed: number;
  archetype: Archetype | undefined;
  situation: number;
  /** 0: table or default only. Undefined: as configured. */
  deadlineMs: number | undefined;
  /** The caller wants to see the buckets and the prompt. */
  explain: boolean;
}

export const newItem = (): IntentItem => ({
  npc: undefined,
  seed: 0,
  archetype: undefined,
  situation: 0,
  deadlineMs: undefined,
  explain: false,
});

/** Fills `into`, `npc` also where the rest is wrong. Members that it does not know are left alone. */
export function readItem(item: unknown, archetypes: Archetypes, into: IntentItem): ItemError | undefined {
  into.npc = undefined;
  into.seed = 0;
  into.archetype = undefined;
  if (!isRecord(item)) return invalid(`an item must be an object, not ${inWords(item)}`);

  const { npc, archetype: name, deadline_ms: deadlineMs, explain } = item;
  if (typeof npc === "number" && Number.isInteger(npc) && !Number.isSafeInteger(npc)) {
    return invalid("npc is 2^53 or beyond, where JSON numbers are no longer exact; send it as a string");
  }
  if (typeof npc === "number" && Number.isFinite(npc)) {
    into.npc = npc;
    into.seed = npc >>> 0;
  } else if (typeof npc === "string") {
    into.npc = npc;
    into.seed = hash32(npc);
  } else if (npc !== undefined) return invalid(`npc must be a number or a string, not ${inWords(npc)}`);

  if (deadlineMs === undefined) into.deadlineMs = undefined;
  else if (typeof deadlineMs === "number" && deadlineMs >= 0) {
    into.deadlineMs = Math.min(deadlineMs, deadlineMostMs);
  } else
    return invalid(`deadline_ms must be a number of milliseconds, 0 or more, not ${inWords(deadlineMs)}`);

  if (explain !== undefined && typeof explain !== "boolean") {
    return invalid(`explain must be true or false, not ${inWords(explain)}`);
  }
  into.explain = explain === true;

  if (typeof name !== "string") {
    return invalid(
      name === undefined ? "archetype is missing" : `archetype must be a name, not ${inWords(name)}`,
    );
  }
  const archetype = archetypes.named(name);
  if (archetype === undefined) return { code: "unknown_archetype", message: strangerAmong(archetypes, name) };

  const situation = readSituation(item["features"], archetype);
  if (typeof situation !== "number") return situation;
  into.archetype = archetype;
  into.situation = situation;
  return undefined;
}

const invalid = (message: string): ItemError => ({ code: "invalid_request", message });

function strangerAmong({ all }: Archetypes, name: string): string {
  const has = all.length === 0 ? "has none configured" : `has ${few(all.map((one) => one.name))}`;
  return `there is no archetype ${quoted(name)}; this router ${has}`;
}
