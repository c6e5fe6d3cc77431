// JSON items in, JSON out: the table at once, the engine until the item's deadline. What is asked around the items, and
// by whom, is npc.ts.

import type { Instant } from "../base/clock.ts";
import { newAnswer } from "../intents/intent-answer.ts";
import { newItem, readItem } from "../intents/read-item.ts";
import type { IntentDoor } from "./door.ts";
import { createJsonBytes, pieceOf } from "./json-bytes.ts";
import { nothingToCut } from "./lifecycle.ts";
import { writeAnswer, writeError } from "./npc-answer.ts";

/** The whole body; good until the next request, so it is to be put into a Response at once. */
type Answers = Uint8Array<ArrayBuffer>;

/** No promise, and so no turn of the event loop, where nothing has to be waited for. */
export type AnswerItems = (
  items: readonly unknown[],
  asList: boolean,
  explainAll: boolean,
  receivedAt: Instant,
) => Answers | Promise<Answers>;

/** Prompts may be long: of a thousand items they would make an answer of 16 MB. */
const explainedMost = 64;
const tooMuchToExplain = {
  code: "invalid_request",
  message: `at most ${explainedMost} items of a request are explained; ask for fewer at a time`,
} as const;

const listOpens = pieceOf('{"items":[');
const listCloses = pieceOf("]}");
const comma = pieceOf(",");

export function createAnswerItems({
  clock,
  intents,
  intentAccount,
  lifecycle,
  settings,
}: IntentDoor): AnswerItems {
  // Both are filled and used up within one turn of the loop below.
  const item = newItem();
  const known = newAnswer();
  // One for all requests: items that were waited for are written and taken off again, wherever the loop below stands.
  const json = createJsonBytes();

  return (items, asList, explainAll, receivedAt) => {
    const { archetypes } = intents;
    // To read the clock takes as long as to read an entry.
    const now = clock.now();
    /** What was ready at once, cut where an item has to wait; that item's own part is filled in when it is settled. */
    const parts: Answers[] = [];
    let atOnce = 0;
    let waiting = 0;
    let explained = 0;
    let allSettled = (): void => undefined;

    json.clear();
    if (asList) json.put(listOpens);
    for (let index = 0; index < items.length; index += 1) {
      if (index > 0) json.put(comma);
      const error = readItem(items[index], archetypes, item);
      const { npc, seed, archetype, situation } = item;
      if (error !== undefined) {
        writeError(json, npc, error);
        intentAccount.refused();
        continue;
      }
      if (archetype === undefined) throw new Error("an item that is right has an archetype");
      const explain = explainAll || item.explain;
      if (explain) explained += 1;
      if (explained > explainedMost) {
        writeError(json, npc, tooMuchToExplain);
        intentAccount.refused();
        continue;
      }
      if (!intents.fromTable(archetype, situation, seed, now, known)) {
        const waitMs = item.deadlineMs ?? settings().intentDeadlineMs;
        // Who would begin to wait now could be what keeps a drain from its end.
        if (waitMs > 0 && !lifecycle.ending) {
          waiting += 1;
          const place = parts.push(json.take(0).slice(), nothing) - 1;
          intents.wait({ archetype, situation, seed }, receivedAt + waitMs, (answer) => {
            const from = json.length;
            writeAnswer(json, npc, archetype, situation, answer, explain);
            parts[place] = json.take(from).slice();
            intentAccount.answered(archetype, answer.source);
            intentAccount.took(clock.now() - receivedAt, 1);
            waiting -= 1;
            if (waiting === 0) allSettled();
          });
          continue;
        }
        intents.settleFor(archetype, situation, true);
      }
      writeAnswer(json, npc, archetype, situation, known, explain);
      intentAccount.answered(archetype, known.source);
      atOnce += 1;
    }
    if (asList) json.put(listCloses);
    intentAccount.took(clock.now() - receivedAt, atOnce);
    const rest = json.take(0);
    if (parts.length === 0) return rest;
    parts.push(rest.slice());
    if (waiting === 0) return Buffer.concat(parts);
    const done = lifecycle.begin(nothingToCut);
    return new Promise((resolve) => {
      allSettled = () => {
        resolve(Buffer.concat(parts));
        done();
      };
    });
  };
}

const nothing = new Uint8Array();
