// The account of intents: which series an answer counts in, also after a reload.

import { describe, expect, test } from "bun:test";
import { createIntentAccount } from "../../src/http/intent-account.ts";
import type { Archetype } from "../../src/intents/archetype.ts";
import { createArchetypes } from "../../src/intents/archetype.ts";
import { createRegistry } from "../../src/telemetry/registry.ts";
import { guard, statue } from "../support/archetypes.ts";

function books() {
  const registry = createRegistry();
  const account = createIntentAccount({
    intents: registry.counter("intents", "", ["archetype", "source"]),
    intentSeconds: registry.histogram("seconds", "", [], [0.001, 0.01]),
  });
  return { account, lines: () => registry.expose().split("\n") };
}

function only(...rules: Parameters<typeof createArchetypes>[0]): Archetype {
  const [archetype] = createArchetypes(rules).all;
  if (archetype === undefined) throw new Error("there is one");
  return archetype;
}

describe("an intent account", () => {
  test("counts by the archetype's name, also when a reload has put another one in its place, and back", () => {
    const { account, lines } = books();
    const before = only(guard);
    const after = only(statue);
    account.answered(before, "fresh");
    account.answered(after, "fresh");
    account.answered(after, "stale");
    account.answered(before, "fresh");
    expect(lines()).toEqual(
      expect.arrayContaining([
        'intents{archetype="guard",source="fresh"} 2',
        'intents{archetype="guard",source="stale"} 0',
        'intents{archetype="statue",source="fresh"} 1',
        'intents{archetype="statue",source="stale"} 1',
      ]),
    );
  });

  test("observes as many answers as were ready at a time, and none where there were none", () => {
    const { account, lines } = books();
    account.took(2, 64);
    account.took(500, 0);
    expect(lines()).toEqual(
      expect.arrayContaining([
        'seconds_bucket{le="0.001"} 0',
        'seconds_bucket{le="0.01"} 64',
        "seconds_sum 0.128",
        "seconds_count 64",
      ]),
    );
  });

  test("counts what was refused under no archetype", () => {
    const { account, lines } = books();
    account.refused();
    expect(lines()).toContain('intents{archetype="none",source="refused"} 1');
  });
});
