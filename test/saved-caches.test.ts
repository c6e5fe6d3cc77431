// The two caches as snapshots.ts takes them: what goes in comes out, and what cannot says so.

import { describe, expect, test } from "bun:test";
import { Departure } from "../src/base/departure.ts";
import { seededRandom } from "../src/base/random.ts";
import { createResultCache } from "../src/dispatch/result-cache.ts";
import { createFleet } from "../src/fleet/fleet.ts";
import type { ArchetypeRule } from "../src/intents/archetype.ts";
import { createArchetypes } from "../src/intents/archetype.ts";
import { newAnswer } from "../src/intents/intent-answer.ts";
import { createIntentTable } from "../src/intents/intent-table.ts";
import { savedIntents, savedResults } from "../src/saved-caches.ts";
import type { SavedCache } from "../src/snapshots.ts";
import { guard } from "./support/archetypes.ts";
import { inference } from "./support/inference.ts";
import { virtualClock } from "./support/virtual-clock.ts";

const mostBytes = 1_000_000;

function restored(cache: SavedCache, payload: Uint8Array, elapsedMs: number, count = 2) {
  const restoring = cache.restore(payload, elapsedMs);
  if (typeof restoring === "string") return restoring;
  let steps = 1;
  while (restoring.step(count)) steps += 1;
  return { steps, restored: restoring.restored, dropped: restoring.dropped };
}

describe("savedIntents", () => {
  const small: ArchetypeRule = {
    ...guard,
    actions: ["patrol", "flee"],
    staleMs: 0,
    features: [{ kind: "buckets", name: "threat", edges: [1, 2, 3, 4, 5, 6, 7], unit: undefined }],
  };
  const limits = { maxEntries: 100, maxBytes: 1_000_000 };

  function tableOf(rule = small) {
    const clock = virtualClock();
    const table = createIntentTable(createArchetypes([rule]), limits, clock.now);
    const archetype = table.archetypes.named("guard");
    if (archetype === undefined) throw new Error("no guard");
    return { clock, table, archetype, saved: savedIntents(table, clock) };
  }

  test("brings the odds back, older by the time between, and drops what is too old", async () => {
    const { archetype, clock, saved, table } = tableOf();
    table.put(archetype, 0, [1, 0], clock.now());
    await clock.advance(300);
    for (const situation of [1, 2, 3]) table.put(archetype, situation, [0.2, 0.8], clock.now());
    const payload = saved.encode(mostBytes);

    const next = tableOf();
    expect(restored(next.saved, payload, 800)).toEqual({ steps: 2, restored: 3, dropped: 1 });
    const slot = next.table.find(next.archetype, 2, next.clock.now());
    const answer = newAnswer();
    next.table.read(slot, next.archetype, 0, next.clock.now(), answer);
    expect(answer).toMatchObject({ action: 1, source: "fresh", ageMs: 800, ttlMs: 200 });
  });

  test("refuses what other archetypes meant, and what is no table", () => {
    const { archetype, clock, saved, table } = tableOf();
    table.put(archetype, 0, [1, 0], clock.now());
    const payload = saved.encode(mostBytes);
    const other = tableOf({ ...small, actions: ["patrol", "attack"] }).saved;
    expect(restored(other, payload, 0)).toBe("foreign-epoch");
    expect(restored(saved, payload.subarray(1), 0)).toBe("damaged");
  });
});

describe("savedResults", () => {
  async function kept(...seeds: number[]) {
    const clock = virtualClock();
    const cache = createResultCache({
      dispatch: async () => ({
        kind: "answer",
        status: 200,
        headers: [["content-type", "application/json"]],
        body: Buffer.from('{"choices":[{}]}'),
        answeredBy: { name: "host-2/vllm", tier: "silver", locality: "peer" },
        attempts: 1,
        answeredAt: clock.now(),
        journey: { tried: [], queuedMs: 0, engineMs: 0, because: "local-first" },
        cache: "off",
      }),
      fleet: createFleet([]),
      settings: { enabled: true, maxEntries: 10, maxBytes: 1_000_000, ttlMs: 1000 },
      clock,
      random: seededRandom(1),
    });
    for (const seed of seeds) {
      const reuse = { parsed: { seed }, takesKept: true };
      await cache.dispatch(inference(clock.now(), { reuse }), new Departure());
      await clock.advance(300);
    }
    return { cache, saved: savedResults(cache) };
  }

  test("brings answers back, those of peers too, and tells them from what is too old", async () => {
    const { cache, saved } = await kept(1, 2, 3);
    expect(cache.control.stats().entries).toBe(3);
    const next = await kept();
    const payload = saved.encode(mostBytes);
    expect(restored(next.saved, payload, 200)).toEqual({ steps: 2, restored: 2, dropped: 1 });
    expect(next.cache.control.stats().entries).toBe(2);
    expect(restored(next.saved, payload.subarray(1), 0)).toBe("damaged");
  });
});
