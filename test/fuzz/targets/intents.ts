// All that a client can send as an intent, frames and JSON items, through the doors themselves: every answer is well
// formed, and an action is one that its archetype has.

import fc from "fast-check";
import { readObject } from "../../../src/http/body.ts";
import { createAnswerFrame } from "../../../src/http/npc-frames.ts";
import { createAnswerItems } from "../../../src/http/npc-items.ts";
import { decodeAnswers, decodeHeader } from "../../support/frame-client.ts";
import { hostileFrame } from "../../support/hostile-frames.ts";
import { hostileItem } from "../../support/hostile-items.ts";
import { npcDoor } from "../../support/npc-door.ts";
import type { Dice } from "../dice.ts";
import type { Target } from "../target.ts";
import { bytesOf, must, textOf } from "../target.ts";

/** Every other situation is known; the rest get the default, since nobody settles them. */
const door = npcDoor((archetype, situation) =>
  situation % 2 === 0 ? { action: situation % archetype.actions.length } : undefined,
);
const { intents } = door;
// The fuzz is about what is read and written; whoever would wait is told at once.
intents.wait = (ask, _deadline, settle) =>
  settle({ action: ask.archetype.defaultIndex, source: "default", confidence: 0, ageMs: 0, ttlMs: 0 });
intents.settleFor = () => undefined;
const answerFrame = createAnswerFrame(door);
const answerItems = createAnswerItems(door);
const { archetypes } = intents;
const actionsMost = Math.max(...archetypes.all.map(({ actions }) => actions.length));

/** Ready made, since making one takes far longer than reading it. */
const sampled = <T>(arbitrary: fc.Arbitrary<T>): ((dice: Dice) => T) => {
  const samples = fc.sample(arbitrary, { numRuns: 2_000, seed: 1 });
  return (dice) => {
    const sample = samples[dice.int(samples.length)];
    if (sample === undefined) throw new Error("there are no samples");
    return sample;
  };
};
const someFrame = sampled(hostileFrame(archetypes));
const someItem = sampled(hostileItem(archetypes));

/** As games send them, with something odd here and there. */
function nearItem(dice: Dice): string {
  const odd = ["null", "-1", "1e999", '""', "[]", "true", "7", '"fog"'] as const;
  const value = (right: string): string => (dice.chance(0.9) ? right : dice.pick(odd));
  const features = [
    `"threat":${value(String(dice.int(100) / 100))}`,
    `"player_distance":${value(String(dice.int(30)))}`,
    `"alerted":${value(dice.pick(["true", "false"]))}`,
    `"weather":${value(dice.pick(['"clear"', '"rain"', '"fog"']))}`,
  ].filter(() => dice.chance(0.7));
  return `{"archetype":${value(dice.pick(['"guard"', '"guard"', '"statue"']))},"npc":${value("17")},"features":{${features.join()}}${dice.chance(0.3) ? `,"deadline_ms":${value("5")}` : ""}}`;
}

export const frames: Target = {
  name: "frames",
  generate: (dice) => someFrame(dice).slice(),
  words: ["TLN1", "\x01\0", "\0\0\0\0\0\0\0\0", "\xff\xff\xff\xff"],
  check(input, dice) {
    // Somewhere inside a larger buffer, as a socket hands it over: nothing outside may be read.
    const before = dice.int(9);
    const around = Buffer.alloc(before + input.length + 64, 0xff);
    around.set(input, before);
    let answered: Uint8Array | undefined;
    answerFrame(around.subarray(before, before + input.length), 0, true, (frame) => {
      must(answered === undefined, "answered twice");
      answered = frame;
    });
    must(answered !== undefined, "no answer");
    const { type, flags, count } = decodeHeader(answered);
    if (type === 3 && count === 0 && flags >= 1 && flags <= 3 && answered.length === 16)
      return `error ${flags}`;
    must(type === 2 && answered.length === 16 * (count + 1), `a strange answer: type ${type}`);
    must(input.length === answered.length, "another number of answers than asks");
    const sources = new Set<number>();
    const asks = Buffer.from(input);
    for (const [index, { source, action }] of decodeAnswers(answered).entries()) {
      const at = 16 + 16 * index;
      const archetype = archetypes.all[asks.readUInt16LE(at + 12)];
      const isThere = archetype !== undefined && asks.readBigUInt64LE(at) < BigInt(archetype.situations);
      must(isThere === (source !== 255), "another item refused");
      must(source === 255 || action < actionsMost, `an action that no archetype has: ${action}`);
      sources.add(source);
    }
    return `${[...sources].sort().join()} ${Math.min(20, count)}`;
  },
};

export const items: Target = {
  name: "items",
  generate: (dice) =>
    bytesOf(
      dice.chance(0.5)
        ? someItem(dice)
        : Array.from({ length: 1 + dice.int(3) }, () => nearItem(dice)).join(),
    ),
  words: [
    '"archetype":"guard"',
    '"features":{',
    '"threat":0.7',
    '"npc":17',
    '"deadline_ms":0',
    '"weather":"fog"',
    '"explain":true',
    "1e999",
    '"__proto__":1',
    "{",
    "}",
    ",",
    "null",
  ],
  check(input) {
    const read = readObject(`{"items":[${textOf(input)}]}`);
    if ("code" in read) return "unreadable";
    const { items: asked } = read.object;
    if (!Array.isArray(asked) || asked.length > 1024) return "no items";
    const bytes = answerItems(asked, true, true, 0);
    must(!(bytes instanceof Promise), "nobody waits here");
    const answer: { items: Record<string, unknown>[] } = JSON.parse(textOf(bytes));
    must(answer.items.length === asked.length, "another number of answers than asks");
    const ways = new Set<string>();
    for (const item of answer.items) {
      const { error } = item;
      if (typeof error === "object" && error !== null && "code" in error) {
        ways.add(String(error.code));
        continue;
      }
      const known = archetypes.all.some(({ actions }) => actions[Number(item["action"])] === item["intent"]);
      must(known, `no valid action: ${JSON.stringify(item)}`);
      ways.add(`${String(item["source"])}${String(item["situation"])}`);
    }
    return [...ways].sort().join().slice(0, 100);
  },
};
