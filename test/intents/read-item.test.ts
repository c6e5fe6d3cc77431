// From one JSON item to an archetype and a situation code, or to the reason why not.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { hash32 } from "../../src/base/hash32.ts";
import { createArchetypes } from "../../src/intents/archetype.ts";
import { newItem, readItem } from "../../src/intents/read-item.ts";
import { itemErrorCodes, readSituation } from "../../src/intents/read-situation.ts";
import { packSituation } from "../../src/intents/situation.ts";
import { guard, only, statue } from "../support/archetypes.ts";
import { hostileItem } from "../support/hostile-items.ts";

const set = createArchetypes([statue, guard]);

const read = (json: string) => {
  const item = newItem();
  const error = readItem(JSON.parse(json), set, item);
  return { item, error };
};

describe("an item", () => {
  test("of the documentation's example is situation 106", () => {
    const { item, error } = read(
      '{"archetype":"guard","npc":17,"features":{"threat":0.7,"player_distance":4,"alerted":true,"weather":"fog"},"deadline_ms":12}',
    );
    expect(error).toBeUndefined();
    expect(item).toEqual({
      npc: 17,
      seed: 17,
      archetype: set.all[1],
      situation: 106,
      deadlineMs: 12,
      explain: false,
    });
  });

  test("is in the lowest bucket of each feature that it does not name, in whatever order it names the others", () => {
    const situations = ['{"weather":"rain","threat":0.9}', '{"threat":0.9,"weather":"rain"}', "{}"].map(
      (features) => read(`{"archetype":"guard","features":${features}}`).item.situation,
    );
    const mixed = packSituation([3, 0, 0, 1], only(guard));
    expect(situations).toEqual([mixed, mixed, 0]);
    expect(read('{"archetype":"guard"}').item.situation).toBe(0);
  });

  test("draws by its number as the frame has it, by its name's hash, and by 0 where it has neither", () => {
    const seeds = ["17", "4294967297", "-1", "1.5", '"ned"'].map(
      (npc) => read(`{"archetype":"statue","npc":${npc}}`).item.seed,
    );
    expect(seeds).toEqual([17, 1, 0xffff_ffff, 1, hash32("ned")]);
    expect(read('{"archetype":"statue"}').item).toMatchObject({ npc: undefined, seed: 0 });
  });

  test("has the configured deadline where it names none, its own up to 10 s, and 0 for the table alone", () => {
    const deadlines = ["", ',"deadline_ms":0', ',"deadline_ms":3.5', ',"deadline_ms":1e999'].map(
      (member) => read(`{"archetype":"statue"${member}}`).item.deadlineMs,
    );
    expect(deadlines).toEqual([undefined, 0, 3.5, 10_000]);
  });

  test("leaves nothing of itself in the record for the next one", () => {
    const item = newItem();
    const first = { archetype: "guard", npc: 5, features: { threat: 1 }, deadline_ms: 5, explain: true };
    expect(readItem(first, set, item)).toBeUndefined();
    expect(item.explain).toBe(true);
    expect(readItem({ archetype: "statue" }, set, item)).toBeUndefined();
    expect(item).toEqual({ ...newItem(), archetype: set.all[0] });
    expect(readItem({ archetype: "sphinx" }, set, item)?.code).toBe("unknown_archetype");
    expect(item).toEqual(newItem());
  });
});

const wrong: readonly (readonly [json: string, code: string, message: string, npc?: number | string])[] = [
  ["null", "invalid_request", "an item must be an object, not null"],
  ["[1]", "invalid_request", "an item must be an object, not a list"],
  ['"guard"', "invalid_request", 'an item must be an object, not "guard"'],
  ['{"npc":1}', "invalid_request", "archetype is missing", 1],
  ['{"npc":"a","archetype":7}', "invalid_request", "archetype must be a name, not 7", "a"],
  ['{"npc":{}}', "invalid_request", "npc must be a number or a string, not an object"],
  [
    '{"npc":76561197960287930}',
    "invalid_request",
    "npc is 2^53 or beyond, where JSON numbers are no longer exact; send it as a string",
  ],
  ['{"npc":1e999}', "invalid_request", "npc must be a number or a string, not Infinity"],
  [
    '{"npc":1,"archetype":"guard","deadline_ms":-1}',
    "invalid_request",
    "deadline_ms must be a number of milliseconds, 0 or more, not -1",
    1,
  ],
  [
    '{"archetype":"guard","deadline_ms":"5"}',
    "invalid_request",
    'deadline_ms must be a number of milliseconds, 0 or more, not "5"',
  ],
  ['{"archetype":"guard","explain":1}', "invalid_request", "explain must be true or false, not 1"],
  [
    '{"npc":1,"archetype":"Guard"}',
    "unknown_archetype",
    'there is no archetype "Guard"; this router has statue, guard',
    1,
  ],
  [
    '{"archetype":"__proto__"}',
    "unknown_archetype",
    'there is no archetype "__proto__"; this router has statue, guard',
  ],
  [
    '{"archetype":"guard","features":[0.7]}',
    "invalid_request",
    "features must be an object of names and values, not a list",
  ],
  [
    '{"archetype":"guard","features":null}',
    "invalid_request",
    "features must be an object of names and values, not null",
  ],
  [
    '{"npc":1,"archetype":"guard","features":{"threat":0.7,"thret":1}}',
    "unknown_feature",
    'guard has no feature "thret"; its features are threat, player_distance, alerted, weather',
    1,
  ],
  [
    '{"archetype":"guard","features":{"__proto__":{"threat":1}}}',
    "unknown_feature",
    'guard has no feature "__proto__"; its features are threat, player_distance, alerted, weather',
  ],
  [
    '{"archetype":"guard","features":{"constructor":1}}',
    "unknown_feature",
    'guard has no feature "constructor"; its features are threat, player_distance, alerted, weather',
  ],
  [
    '{"archetype":"statue","features":{"threat":1}}',
    "unknown_feature",
    'statue has no feature "threat"; it has none',
  ],
  [
    '{"npc":1,"archetype":"guard","features":{"threat":"high"}}',
    "invalid_feature",
    'threat must be a number, not "high"',
    1,
  ],
  [
    '{"archetype":"guard","features":{"alerted":null}}',
    "invalid_feature",
    "alerted must be true or false, not null",
  ],
];

describe("a wrong item is refused, with its code and the reason", () => {
  for (const [json, code, message, npc] of wrong) {
    test(json, () => {
      const { item, error } = read(json);
      expect(error).toEqual({
        code: itemErrorCodes.find((one) => one === code) ?? "invalid_request",
        message,
      });
      expect([item.npc, item.archetype]).toEqual([npc, undefined]);
    });
  }
});

test("features that archetypes may well have, named like what every object has, are read like all others", () => {
  const archetype = only({
    ...guard,
    features: ["__proto__", "constructor"].map((name) => ({ kind: "bool", name })),
  });
  expect(readSituation(JSON.parse('{"constructor":true}'), archetype)).toBe(2);
  expect(readSituation(JSON.parse('{"__proto__":true}'), archetype)).toBe(1);
  expect(readSituation({}, archetype)).toBe(0);
});

test("any JSON is either a situation that the archetype has or a refusal in a short sentence, and never throws", () => {
  fc.assert(
    fc.property(hostileItem(set), (json) => {
      const { item, error } = read(json);
      if (error === undefined) {
        expect(item.situation).toBeWithin(0, item.archetype?.situations ?? 0);
        expect(Number.isInteger(item.situation)).toBe(true);
      } else {
        expect(item.archetype).toBeUndefined();
        expect(itemErrorCodes).toContain(error.code);
        expect(error.message.length).toBeLessThan(500);
      }
    }),
    { numRuns: 500 },
  );
});
