// Caches that come back from the disk: bytes bring back what was saved, or nothing, and never more than there may be.

import { openResults, writeResults } from "../../../src/dispatch/result-snapshot.ts";
import { newAnswer } from "../../../src/intents/intent-answer.ts";
import { encodeTable, restoreTable } from "../../../src/intents/table-snapshot.ts";
import { mostly, tableOf } from "../../support/intent-table.ts";
import type { Dice } from "../dice.ts";
import type { Target } from "../target.ts";
import { must } from "../target.ts";

const limits = { maxEntries: 50, maxBytes: 2 ** 20 };

export const tables: Target = {
  name: "table-snapshots",
  generate(dice: Dice) {
    const at = tableOf();
    for (const situation of dice.some(30, () => dice.int(120)))
      at.table.put(at.guard, situation, mostly(situation % 6), at.now);
    return encodeTable(at.table, 2 ** 16, at.now).slice();
  },
  words: ["\xff\xff\xff\xff", "\0\0\0\0", "\x01\0", "\0\0\0\0\0\0\xf0\x7f"],
  check(input, dice) {
    const at = tableOf(undefined, limits);
    const restore = restoreTable(at.table, input, dice.int(20_000), () => at.now);
    if (typeof restore === "string") return restore;
    let steps = 0;
    while (restore.step(7)) {
      steps += 1;
      must(steps <= input.length, "it does not end");
    }
    const { entries } = at.table.stats();
    must(entries <= limits.maxEntries && entries <= restore.restored, "more entries than came back");
    const answer = newAnswer();
    for (let situation = 0; situation < 120; situation += 1) {
      const place = at.table.find(at.guard, situation, at.now);
      if (place < 0) continue;
      at.table.read(place, at.guard, 0, at.now, answer);
      must(
        answer.action >= 0 && answer.action < 6 && answer.confidence >= 0 && answer.confidence <= 1,
        "an answer that is none",
      );
    }
    return [Math.min(9, restore.restored), Math.min(9, restore.dropped)].join();
  },
};

export const results: Target = {
  name: "result-snapshots",
  generate(dice: Dice) {
    const entries = dice.some(
      6,
      (index): Parameters<typeof writeResults>[0] extends Iterable<infer Entry> ? Entry : never => [
        `key ${index}`,
        {
          value: {
            headers: [["content-type", "application/json"]],
            body: dice.bytes(40),
            answeredBy: { tier: "gold", locality: "local", name: "a/vllm" },
            model: dice.chance(0.5) ? "m" : undefined,
          },
          bytes: 40,
          ageMs: dice.int(100),
          ttlMs: dice.chance(0.5) ? 60_000 : undefined,
        },
      ],
    );
    return Uint8Array.from(writeResults(entries, 2 ** 16));
  },
  words: [
    "\xff\xff\xff\xff",
    "\0\0\0\0",
    '["k",1,null,"gold","local","a",null,[]]',
    "-1",
    "1e400",
    '"gold"',
    '[["set-cookie","a"]]',
  ],
  check(input) {
    let took = 0;
    const restore = openResults(input, (key, { answer, ageMs }) => {
      must(
        typeof key === "string" && ageMs >= 0 && answer.body.length <= input.length,
        "an answer that is none",
      );
      must(
        answer.headers.every(([name, value]) => typeof name === "string" && typeof value === "string"),
        "headers that are none",
      );
      took += 1;
      return took % 5 !== 0;
    });
    if (typeof restore === "string") return restore;
    const lengths = Buffer.from(input);
    let end = 0;
    while (end + 8 <= input.length) end += 8 + lengths.readUInt32LE(end) + lengths.readUInt32LE(end + 4);
    must(end === input.length, "records that do not add up");
    let steps = 0;
    while (restore.step(3)) {
      steps += 1;
      must(steps <= input.length, "it does not end");
    }
    return [Math.min(9, restore.restored), Math.min(9, restore.dropped)].join();
  },
};
