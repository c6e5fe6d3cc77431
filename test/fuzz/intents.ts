// The long run over everything that a client can send as an intent, `bun run fuzz [CASES]`, a million by default: frames
// and JSON bodies through the doors themselves, in one process, without a socket between. A failing case prints its seed.

import fc from "fast-check";
import { readObject } from "../../src/http/body.ts";
import { createAnswerFrame } from "../../src/http/npc-frames.ts";
import { createAnswerItems } from "../../src/http/npc-items.ts";
import { decodeAnswers, decodeHeader } from "../support/frame-client.ts";
import { hostileFrame } from "../support/hostile-frames.ts";
import { hostileItem } from "../support/hostile-items.ts";
import { npcDoor } from "../support/npc-door.ts";

const cases = Number(process.argv[2] ?? 1_000_000);
/** Every other situation is known; the rest get the default, since nobody settles them. */
const door = npcDoor((archetype, situation) =>
  situation % 2 === 0 ? { action: situation % archetype.actions.length } : undefined,
);
const { intents } = door;
// The fuzz is about what is read and written; whoever would wait is told at once.
intents.wait = (ask, _deadline, settle) =>
  settle({ action: ask.archetype.defaultIndex, source: "default", confidence: 0, ageMs: 0, ttlMs: 0 });
const answerFrame = createAnswerFrame(door);
const answerItems = createAnswerItems(door);
const { archetypes } = intents;

function checkFrame(bytes: Uint8Array): void {
  let answered: Uint8Array | undefined;
  answerFrame(bytes, 0, true, (frame) => {
    answered = frame;
  });
  if (answered === undefined) throw new Error("no answer");
  const { type, flags, count } = decodeHeader(answered);
  if (type === 3 && count === 0 && flags >= 1 && flags <= 3 && answered.length === 16) return;
  if (type !== 2 || answered.length !== 16 * (count + 1)) throw new Error(`a strange answer: type ${type}`);
  const most = Math.max(...archetypes.all.map(({ actions }) => actions.length));
  for (const { source, action } of decodeAnswers(answered)) {
    if (source !== 255 && action >= most) throw new Error(`an action that no archetype has: ${action}`);
  }
}

function checkItem(text: string): void {
  const read = readObject(`{"items":[${text}]}`);
  if ("code" in read) return;
  const { items } = read.object;
  if (!Array.isArray(items)) return;
  const bytes = answerItems(items, true, false, 0);
  if (bytes instanceof Promise) throw new Error("nobody waits here");
  const answer: { items: Record<string, unknown>[] } = JSON.parse(Buffer.from(bytes).toString());
  for (const item of answer.items) {
    if ("error" in item) continue;
    const known = archetypes.all.some(({ actions }) => actions[Number(item["action"])] === item["intent"]);
    if (!known) throw new Error(`no valid action: ${JSON.stringify(item)}`);
  }
}

const began = performance.now();
const before = process.memoryUsage().rss;
fc.assert(fc.property(hostileFrame(archetypes), checkFrame), { numRuns: Math.ceil(cases / 2) });
fc.assert(fc.property(hostileItem(archetypes), checkItem), { numRuns: Math.ceil(cases / 2) });
const grownMB = Math.round((process.memoryUsage().rss - before) / 1e6);
console.log(
  `${cases} cases in ${Math.round((performance.now() - began) / 1000)} s, none failed; memory grew by ${grownMB} MB.`,
);
