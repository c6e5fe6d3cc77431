// What the metrics say of the intent table, archetype by archetype.

import { expect, test } from "bun:test";
import { registerIntentGauges } from "../../src/telemetry/intent-gauges.ts";
import { createRegistry } from "../../src/telemetry/registry.ts";
import { guard, statue } from "../support/archetypes.ts";
import { mostly, tableOf } from "../support/intent-table.ts";

test("each archetype's entries and look-ups are told apart, and the open questions by where they are", () => {
  const at = tableOf([guard, statue]);
  at.table.put(at.guard, 3, mostly(1), at.now);
  at.table.find(at.guard, 3, at.now);
  at.table.find(at.guard, 3, at.now + guard.ttlMs + 1);
  at.table.missed(at.guard);
  at.table.joined(at.guard);
  at.table.joined(at.guard);
  const registry = createRegistry();
  registerIntentGauges(registry, at.table, () => ({ queued: 7, asked: 2 }));
  const lines = registry
    .expose()
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  expect(lines).toEqual([
    `tierline_intent_entries{archetype="guard"} 1`,
    `tierline_intent_entries{archetype="statue"} 0`,
    `tierline_intent_lookups_total{archetype="guard",result="fresh"} 1`,
    `tierline_intent_lookups_total{archetype="guard",result="stale"} 1`,
    `tierline_intent_lookups_total{archetype="guard",result="miss"} 1`,
    `tierline_intent_lookups_total{archetype="guard",result="join"} 2`,
    `tierline_intent_lookups_total{archetype="statue",result="fresh"} 0`,
    `tierline_intent_lookups_total{archetype="statue",result="stale"} 0`,
    `tierline_intent_lookups_total{archetype="statue",result="miss"} 0`,
    `tierline_intent_lookups_total{archetype="statue",result="join"} 0`,
    `tierline_intent_questions{state="queued"} 7`,
    `tierline_intent_questions{state="asked"} 2`,
  ]);
});
