// Clearing as a peer tells it, over scripted caches.

import { expect, test } from "bun:test";
import { clearAsTold } from "../../src/http/clear-caches.ts";
import { createLog } from "../../src/telemetry/log.ts";
import { cacheEntry, scriptedCache } from "../support/scripted-cache.ts";

function host() {
  const caches = {
    intents: scriptedCache({ entries: [cacheEntry("guard/1"), cacheEntry("wolf/1")] }),
    results: scriptedCache({ entries: [cacheEntry("ab")] }),
  };
  const forgotten: string[] = [];
  const { log } = createLog("silent");
  return {
    caches,
    forgotten,
    parts: { caches, log, onCacheCleared: (name: string) => forgotten.push(name) },
  };
}
const all = { cache: undefined, archetype: undefined, prefix: undefined };

test("what a peer has cleared goes here too, from memory and from the disk, and no count begins anew", () => {
  const { caches, forgotten, parts } = host();
  clearAsTold(parts, "gold-2", all);
  const asked = [{ clear: { archetype: undefined, prefix: undefined, resetStats: false } }];
  expect([caches.intents.asked, caches.results.asked]).toEqual([asked, asked]);
  expect(forgotten).toEqual(["intents", "results"]);
});

test("an archetype that a peer names means the intents alone, be it known here or not", () => {
  const { caches, forgotten, parts } = host();
  clearAsTold(parts, "gold-2", { ...all, archetype: "ghost", prefix: "ghost/1" });
  expect(caches.intents.asked).toEqual([
    { clear: { archetype: "ghost", prefix: "ghost/1", resetStats: false } },
  ]);
  expect(caches.results.asked).toEqual([]);
  expect(forgotten).toEqual(["intents"]);
});
