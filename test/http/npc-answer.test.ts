// What is written of an answer, byte by byte, against JSON.stringify.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createJsonBytes } from "../../src/http/json-bytes.ts";
import { writeAnswer, writeError } from "../../src/http/npc-answer.ts";
import { createArchetypes } from "../../src/intents/archetype.ts";
import { sources } from "../../src/intents/intent-answer.ts";
import { guard } from "../support/archetypes.ts";

const npcs = fc.oneof(
  fc.constant(undefined),
  fc.string({ unit: "binary" }),
  fc.integer(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.constantFrom("\ud800", "\u2028", '"}', 1e21, 5e-324, -0),
);

const json = createJsonBytes();

function written(write: () => void): string {
  json.clear();
  write();
  return new TextDecoder().decode(json.take(0));
}

describe("writeAnswer", () => {
  test("writes what JSON.stringify makes of the answer, whatever NPCs and actions are called", () => {
    const answers = fc.record({
      action: fc.nat(1),
      source: fc.constantFrom(...sources),
      confidence: fc.double({ min: 0, max: 1, noNaN: true }),
      ageMs: fc.double({ min: 0, max: 1e12, noNaN: true }),
      ttlMs: fc.double({ min: 0, max: 1e12, noNaN: true }),
    });
    fc.assert(
      fc.property(
        npcs,
        answers,
        fc.tuple(fc.string({ unit: "binary" }), fc.string()),
        fc.boolean(),
        (npc, answer, actions, explain) => {
          const [archetype] = createArchetypes([
            { ...guard, actions, features: guard.features.slice(0, 1) },
          ]).all;
          if (archetype === undefined) throw new Error("there is one");
          const text = written(() => writeAnswer(json, npc, archetype, 3, answer, explain));
          const { prompt, ...said } = JSON.parse(text);
          const expected = {
            npc,
            intent: actions[answer.action],
            action: answer.action,
            confidence: Math.round(answer.confidence * 10_000) / 10_000,
            source: answer.source,
            age_ms: Math.floor(answer.ageMs),
            ttl_ms: Math.floor(answer.ttlMs),
            situation: 3,
            ...(explain ? { buckets: { threat: 3 } } : {}),
          };
          expect(text).toBe(JSON.stringify({ ...expected, prompt }));
          expect(JSON.stringify(said)).toBe(JSON.stringify(expected));
          if (explain) expect(prompt).toContain("threat: 0.8 or more");
          else expect(prompt).toBeUndefined();
        },
      ),
    );
  });
});

describe("writeError", () => {
  test("writes what JSON.stringify makes of the NPC and the error", () => {
    fc.assert(
      fc.property(npcs, fc.string({ unit: "binary" }), (npc, message) => {
        const error = { code: "invalid_feature", message } as const;
        expect(written(() => writeError(json, npc, error))).toBe(JSON.stringify({ npc, error }));
      }),
    );
  });
});
