import { expect, test } from "bun:test";
import fc from "fast-check";
import { createArchetypes } from "../../src/intents/archetype.ts";
import { bytesPerEntry } from "../../src/intents/entry-store.ts";
import { newAnswer } from "../../src/intents/intent-answer.ts";
import { guard, oracle, statue } from "../support/archetypes.ts";
import { keysOf, mostly, roomy, tableOf } from "../support/intent-table.ts";

test("a situation that was put is found, with the likeliest action and its share", () => {
  const at = tableOf();
  at.table.put(at.guard, 106, mostly(2), at.now);
  const answer = newAnswer();
  at.table.read(at.table.find(at.guard, 106, at.now + 120), at.guard, 17, at.now + 120, answer);
  expect(answer).toMatchObject({ action: 2, source: "fresh", ageMs: 120, ttlMs: 880 });
  expect(answer.confidence).toBeCloseTo(0.75, 4);
  expect(at.table.find(at.guard, 107, at.now)).toBe(-1);
});

test.each([
  [0, "fresh", 1000],
  [1000, "fresh", 0],
  [1000.5, "stale", 0],
  [11_000, "stale", 0],
  [11_000.5, undefined, 0],
] as const)("an entry with a ttl of 1 s and 10 s of staleness is, at %d ms, %s", (ageMs, source, ttlMs) => {
  const at = tableOf();
  at.table.put(at.guard, 5, mostly(1), at.now);
  const later = at.now + ageMs;
  const slot = at.table.find(at.guard, 5, later);
  expect(slot >= 0).toBe(source !== undefined);
  if (source !== undefined) {
    const answer = newAnswer();
    at.table.read(slot, at.guard, 1, later, answer);
    expect(answer).toMatchObject({ source, ageMs, ttlMs });
  }
  expect(at.table.stats()).toMatchObject({
    entries: source === undefined ? 0 : 1,
    hits: source === undefined ? 0 : 1,
    staleHits: source === "stale" ? 1 : 0,
    expirations: source === undefined ? 1 : 0,
    evictions: 0,
    misses: 0,
  });
});

test("a hundred NPCs that sample differ, and none of them flickers before the next put", () => {
  const at = tableOf([{ ...guard, pick: "sample" }]);
  const answer = newAnswer();
  const crowd = (): number[] =>
    Array.from({ length: 100 }, (_, npc) => {
      at.table.read(at.table.find(at.guard, 3, at.now), at.guard, npc, at.now, answer);
      expect(answer.confidence).toBeCloseTo(0.5, 4);
      return answer.action;
    });
  const odds = [0.5, 0, 0.5, 0, 0, 0];
  at.table.put(at.guard, 3, odds, at.now);
  const first = crowd();
  expect(new Set(first)).toEqual(new Set([0, 2]));
  expect(crowd()).toEqual(first);
  at.table.put(at.guard, 4, odds, at.now);
  expect(crowd()).toEqual(first);
  at.table.put(at.guard, 3, odds, at.now);
  expect(crowd()).not.toEqual(first);
});

test("readOdds answers from odds that no entry keeps, for an archetype of an earlier set too", () => {
  const at = tableOf([{ ...guard, pick: "sample" }]);
  at.table.adopt(createArchetypes([statue]), roomy);
  const answer = newAnswer();
  const seen = new Set<number>();
  for (let npc = 0; npc < 100; npc += 1) {
    at.table.readOdds([0.5, 0, 0.5, 0, 0, 0], at.guard, npc, answer);
    expect(answer).toMatchObject({ source: "fresh", ageMs: 0, ttlMs: 1000 });
    expect(answer.confidence).toBeCloseTo(0.5, 4);
    seen.add(answer.action);
  }
  expect([...seen].sort()).toEqual([0, 2]);
  expect(at.table.stats()).toMatchObject({ entries: 0, hits: 0 });
});

test.each([
  ["odds of the wrong length", 0, [1]],
  ["odds that are not numbers", 0, [Number.NaN, 1, 1, 1, 1, 1]],
  ["a negative situation", -1, mostly(0)],
  ["a situation beyond the last", 120, mostly(0)],
  ["half a situation", 0.5, mostly(0)],
])("put throws for %s, and leaves what was there", (_what, situation, odds) => {
  const at = tableOf();
  at.table.put(at.guard, 0, mostly(3), at.now);
  expect(() => at.table.put(at.guard, situation, odds, at.now)).toThrow(RangeError);
  const answer = newAnswer();
  at.table.read(at.table.find(at.guard, 0, at.now), at.guard, 1, at.now, answer);
  expect(answer.action).toBe(3);
  expect(at.table.stats().entries).toBe(1);
});

test("archetypes do not share entries, and the last situation of 2^53 has its own", () => {
  const { table, archetypes, now, guard: first } = tableOf([guard, { ...guard, name: "thief" }]);
  const thief = archetypes.named("thief");
  if (thief === undefined) throw new Error("no thief");
  table.put(first, 119, mostly(1), now);
  expect(table.find(thief, 0, now)).toBe(-1);
  expect(table.find(thief, 119, now)).toBe(-1);

  const seer = tableOf([oracle]);
  const last = seer.guard.situations - 1;
  seer.table.put(seer.guard, last, mostly(1), now);
  expect(seer.table.find(seer.guard, last, now)).toBeGreaterThanOrEqual(0);
  expect(seer.table.find(seer.guard, last - 1, now)).toBe(-1);
});

test("a full table evicts the least recently used, which is neither the oldest nor a listed one", () => {
  const at = tableOf([guard], { ...roomy, maxEntries: 3 });
  for (const situation of [0, 1, 2]) at.table.put(at.guard, situation, mostly(0), at.now);
  at.table.find(at.guard, 0, at.now);
  expect(keysOf(at.table)).toEqual(["guard/0", "guard/2", "guard/1"]);
  at.table.put(at.guard, 3, mostly(0), at.now);
  expect(keysOf(at.table)).toEqual(["guard/3", "guard/0", "guard/2"]);
  expect(at.table.stats()).toMatchObject({ entries: 3, evictions: 1 });
});

test("evictions and expirations give their memory back: after a thousand, every entry is the one that was put", () => {
  const at = tableOf([guard], { ...roomy, maxEntries: 4 });
  const answer = newAnswer();
  for (let turn = 0; turn < 1000; turn += 1) {
    // Every third is expired when it is asked for, and so makes room without an eviction.
    at.now += turn % 3 === 0 ? 12_000 : 1;
    at.table.find(at.guard, (turn + 119) % 120, at.now);
    at.table.put(at.guard, turn % 120, mostly(turn % 6), at.now);
    const slot = at.table.find(at.guard, turn % 120, at.now);
    expect(slot).toBeWithin(0, 5);
    at.table.read(slot, at.guard, 0, at.now, answer);
    expect([answer.action, answer.ageMs]).toEqual([turn % 6, 0]);
  }
});

test("max_bytes is a limit too: as many entries as fit, and one at the least", () => {
  const each = bytesPerEntry(guard.actions.length);
  const at = tableOf([guard], { maxEntries: 1000, maxBytes: 5 * each + 1 });
  for (let situation = 0; situation < 20; situation += 1)
    at.table.put(at.guard, situation, mostly(0), at.now);
  expect(at.table.stats()).toMatchObject({ entries: 5, bytes: 5 * each, peakBytes: 5 * each, evictions: 15 });
  at.table.configure({ maxBytes: 1 });
  expect(keysOf(at.table)).toEqual(["guard/19"]);
  expect(at.table.stats()).toMatchObject({ evictions: 19, peakBytes: 5 * each, maxBytes: 1 });
});

test("configure evicts the least recently used at once, and keeps order, ages and hits", () => {
  const at = tableOf();
  for (let situation = 0; situation < 10; situation += 1)
    at.table.put(at.guard, situation, mostly(0), at.now);
  at.table.find(at.guard, 2, at.now + 5);
  at.now += 10;
  const before = at.table.entries({ limit: 3 }).entries;
  at.table.configure({ maxEntries: 3 });
  expect(at.table.entries({ limit: 10 }).entries).toEqual([...before]);
  expect(before[0]).toMatchObject({ key: "guard/2", hits: 1, ageMs: 10, lastHitMs: 5, ttlMs: 990 });
  expect(at.table.stats()).toMatchObject({ entries: 3, evictions: 7 });
  at.table.configure({ maxEntries: 50 });
  expect(at.table.entries({ limit: 10 }).entries).toEqual([...before]);
});

test("configure's ttl holds for every archetype until the next adopt", () => {
  const at = tableOf([guard, { ...statue, ttlMs: 60_000 }]);
  expect(at.table.settings()).toEqual({ enabled: true, ...roomy, ttlMs: 60_000 });
  at.table.configure({ ttlMs: 5000 });
  expect(at.table.settings().ttlMs).toBe(5000);
  at.table.put(at.guard, 0, mostly(0), at.now);
  const answer = newAnswer();
  const sourceAt = (ageMs: number) => {
    at.table.read(at.table.find(at.guard, 0, at.now + ageMs), at.guard, 0, at.now + ageMs, answer);
    return answer.source;
  };
  expect(sourceAt(4000)).toBe("fresh");
  at.table.adopt(at.archetypes, roomy);
  expect(sourceAt(4000)).toBe("stale");
});

test("a disabled table drops its entries and keeps none, until it is enabled", () => {
  const at = tableOf();
  at.table.put(at.guard, 0, mostly(0), at.now);
  at.table.configure({ enabled: false });
  expect(at.table.find(at.guard, 0, at.now)).toBe(-1);
  expect(at.table.put(at.guard, 0, mostly(0), at.now)).toBe(-1);
  expect(at.table.stats()).toMatchObject({ enabled: false, entries: 0, evictions: 0 });
  expect(at.table.figures(at.guard).entries).toBe(0);
  at.table.configure({ enabled: true });
  expect(at.table.put(at.guard, 0, mostly(0), at.now)).toBeGreaterThanOrEqual(0);
});

test("adopt keeps what still means the same, under new keys, and drops the rest", () => {
  const thief = { ...guard, name: "thief" };
  const at = tableOf([guard, thief]);
  const old = at.archetypes.named("thief");
  if (old === undefined) throw new Error("no thief");
  at.table.put(at.guard, 7, mostly(1), at.now);
  at.table.put(old, 7, mostly(2), at.now);
  at.table.put(old, 8, mostly(3), at.now);
  at.table.find(old, 7, at.now);
  // Wider records, another place for the thief, another guard.
  const crier = { ...statue, name: "crier", actions: Array.from({ length: 20 }, (_, id) => `cry_${id}`) };
  const next = createArchetypes([
    crier,
    statue,
    { ...thief, pick: "sample" },
    { ...guard, prompt: "Other." },
  ]);
  at.table.adopt(next, roomy);

  expect(keysOf(at.table)).toEqual(["thief/7", "thief/8"]);
  const heir = next.named("thief");
  if (heir === undefined) throw new Error("no thief");
  const answer = newAnswer();
  at.table.read(at.table.find(heir, 7, at.now), heir, 1, at.now, answer);
  expect(answer.confidence).toBeCloseTo(answer.action === 2 ? 0.75 : 0.05, 4);
  expect(at.table.figures(heir)).toMatchObject({ entries: 2, hits: 2 });
  expect(at.table.stats()).toMatchObject({ entries: 2, evictions: 0 });
});

test("an archetype of an earlier set is harmless", () => {
  const at = tableOf();
  at.table.put(at.guard, 7, mostly(1), at.now);
  const next = createArchetypes([guard]);
  at.table.adopt(next, roomy);
  expect(at.table.find(at.guard, 7, at.now)).toBe(-1);
  expect(at.table.put(at.guard, 7, mostly(1), at.now)).toBe(-1);
  at.table.missed(at.guard);
  at.table.joined(at.guard);
  expect(at.table.stats()).toMatchObject({ entries: 1, hits: 0, misses: 1, joins: 1 });
  expect(at.table.figures(at.guard)).toMatchObject({ entries: 0, misses: 0 });
  expect(at.table.find(next.all[0] ?? at.guard, 7, at.now)).toBeGreaterThanOrEqual(0);
});

test("figures are an archetype's own, and clear resets all counts where it is told to", () => {
  const at = tableOf([guard, statue]);
  const stone = at.archetypes.all[1] ?? at.guard;
  at.table.put(stone, 0, [1], at.now);
  at.table.put(at.guard, 0, mostly(0), at.now);
  at.table.find(stone, 0, at.now + 2000);
  at.table.missed(at.guard);
  at.table.joined(at.guard);
  expect(at.table.figures(stone)).toEqual({ entries: 1, hits: 1, staleHits: 1, misses: 0, joins: 0 });
  expect(at.table.figures(at.guard)).toEqual({ entries: 1, hits: 0, staleHits: 0, misses: 1, joins: 1 });
  expect(at.table.clear({ archetype: "guard", resetStats: true })).toBe(1);
  const each = bytesPerEntry(guard.actions.length);
  expect(at.table.stats()).toMatchObject({
    entries: 1,
    hits: 0,
    misses: 0,
    staleHits: 0,
    joins: 0,
    peakBytes: each,
  });
  expect(at.table.figures(stone)).toEqual({ entries: 1, hits: 0, staleHits: 0, misses: 0, joins: 0 });
});

test.each([
  [{}, []],
  [{ archetype: "guard" }, ["guard/b/1", "guardian/1"]],
  [{ archetype: "nobody" }, ["guard/1", "guard/10", "guard/2", "guard/b/1", "guardian/1"]],
  [{ prefix: "guard/1" }, ["guard/2", "guard/b/1", "guardian/1"]],
  [{ prefix: "guard/" }, ["guardian/1"]],
  [{ prefix: "gu" }, []],
  [{ prefix: "x" }, ["guard/1", "guard/10", "guard/2", "guard/b/1", "guardian/1"]],
  [{ archetype: "guardian", prefix: "guard" }, ["guard/1", "guard/10", "guard/2", "guard/b/1"]],
])("clear %p leaves %p", (which, left) => {
  const at = tableOf([guard, { ...guard, name: "guardian" }, { ...guard, name: "guard/b" }]);
  const [a, b, c] = at.archetypes.all;
  if (a === undefined || b === undefined || c === undefined) throw new Error("three are needed");
  for (const situation of [1, 2, 10]) at.table.put(a, situation, mostly(0), at.now);
  for (const other of [b, c]) at.table.put(other, 1, mostly(0), at.now);
  expect(at.table.entries({ ...which, limit: 9 }).entries.length).toBe(
    "archetype" in which ? 5 : 5 - left.length,
  );
  expect(at.table.clear(which)).toBe(5 - left.length);
  expect(keysOf(at.table).sort()).toEqual(left);
});

test("paging shows each entry once, most recently used first, and disturbs none", () => {
  const at = tableOf();
  for (let situation = 0; situation < 25; situation += 1)
    at.table.put(at.guard, situation, mostly(0), at.now);
  const whole = at.table.entries({ limit: 100 });
  expect(whole.next).toBeUndefined();
  for (const cursorOf of [
    (page: typeof whole) => page.next,
    (page: typeof whole) => page.entries.at(-1)?.key,
  ]) {
    const seen: string[] = [];
    let after: string | undefined;
    for (;;) {
      const page = at.table.entries({ limit: 10, ...(after === undefined ? {} : { after }) });
      seen.push(...page.entries.map(({ key }) => key));
      if (page.next === undefined) break;
      after = cursorOf(page);
    }
    expect(seen).toEqual(whole.entries.map(({ key }) => key));
  }
  expect(at.table.stats().hits).toBe(0);
  expect(keysOf(at.table)[0]).toBe("guard/24");
});

test("paging comes to its end although the last entry of every page is used or cleared meanwhile", () => {
  for (const meddle of ["use", "clear"]) {
    const at = tableOf();
    for (let situation = 0; situation < 25; situation += 1)
      at.table.put(at.guard, situation, mostly(0), at.now);
    const seen: string[] = [];
    let page = at.table.entries({ limit: 10 });
    for (let pages = 1; pages < 10 && page.next !== undefined; pages += 1) {
      const last = page.entries.at(-1)?.key ?? "";
      if (meddle === "use") at.table.find(at.guard, Number(last.slice("guard/".length)), at.now);
      else at.table.clear({ prefix: last });
      seen.push(...page.entries.map(({ key }) => key));
      page = at.table.entries({ limit: 10, after: page.next });
    }
    expect(page.next).toBeUndefined();
    expect(new Set([...seen, ...page.entries.map(({ key }) => key)]).size).toBe(25);
  }
});

test.each(["guard/99", "nobody/1", "", "guard/", "guard/1@x"])("no page begins after %p", (after) => {
  const at = tableOf();
  at.table.put(at.guard, 1, mostly(0), at.now);
  expect(at.table.entries({ limit: 10, after })).toEqual({ entries: [], next: undefined });
});

/** The table in the plainest words: a Map in the order of use. */
type Model = Map<number, { madeAt: number; best: number }>;

test("after any acts the table holds what a plain model of it does, within its limits", () => {
  const act = fc.oneof(
    { weight: 5, arbitrary: fc.record({ put: fc.nat(11), best: fc.nat(5) }) },
    { weight: 5, arbitrary: fc.record({ find: fc.nat(11) }) },
    { weight: 2, arbitrary: fc.record({ waitMs: fc.constantFrom(1, 1000, 10_000) }) },
    { weight: 1, arbitrary: fc.record({ clear: fc.nat(11) }) },
    { weight: 1, arbitrary: fc.record({ maxEntries: fc.integer({ min: 1, max: 9 }) }) },
  );
  fc.assert(
    fc.property(fc.array(act, { maxLength: 80 }), (acts) => {
      const at = tableOf([guard], { ...roomy, maxEntries: 6 });
      const model: Model = new Map();
      const touch = (situation: number, entry: { madeAt: number; best: number }) => {
        model.delete(situation);
        model.set(situation, entry);
      };
      let most = 6;
      for (const one of acts) {
        if ("put" in one) {
          at.table.put(at.guard, one.put, mostly(one.best), at.now);
          touch(one.put, { madeAt: at.now, best: one.best });
        } else if ("find" in one) {
          const entry = model.get(one.find);
          const usable = entry !== undefined && at.now - entry.madeAt <= 11_000;
          const slot = at.table.find(at.guard, one.find, at.now);
          expect(slot >= 0).toBe(usable);
          if (!usable) model.delete(one.find);
          else {
            const answer = newAnswer();
            at.table.read(slot, at.guard, 0, at.now, answer);
            expect(answer).toMatchObject({ action: entry.best, ageMs: at.now - entry.madeAt });
            touch(one.find, entry);
          }
        } else if ("waitMs" in one) at.now += one.waitMs;
        else if ("clear" in one) {
          at.table.clear({ prefix: `guard/${one.clear}` });
          for (const key of [...model.keys()]) if (`${key}`.startsWith(`${one.clear}`)) model.delete(key);
        } else {
          most = one.maxEntries;
          at.table.configure({ maxEntries: most });
        }
        for (const key of [...model.keys()].slice(0, Math.max(0, model.size - most))) model.delete(key);
        expect(keysOf(at.table)).toEqual([...model.keys()].reverse().map((key) => `guard/${key}`));
        expect(at.table.figures(at.guard).entries).toBe(model.size);
      }
    }),
  );
});

test("a table of several shards keeps its limits and figures after any acts, and its pages list each entry once, in order", () => {
  const each = bytesPerEntry(guard.actions.length);
  const act = fc.oneof(
    { weight: 8, arbitrary: fc.record({ put: fc.nat(119) }) },
    { weight: 4, arbitrary: fc.record({ find: fc.nat(119) }) },
    { weight: 1, arbitrary: fc.record({ clear: fc.nat(11) }) },
    { weight: 1, arbitrary: fc.record({ maxEntries: fc.integer({ min: 1, max: 60 }) }) },
    { weight: 1, arbitrary: fc.record({ fit: fc.integer({ min: 1, max: 60 }) }) },
    { weight: 1, arbitrary: fc.record({ statue: fc.boolean() }) },
  );
  fc.assert(
    fc.property(fc.array(act, { maxLength: 100 }), fc.integer({ min: 1, max: 9 }), (acts, limit) => {
      const at = tableOf([guard], { ...roomy, maxEntries: 40 }, 5);
      let kind = at.guard;
      // In order of use. It may lose entries to the limits, and these alone.
      const usedAt = new Map<string, number>();
      let puts = 0;
      for (const [turn, one] of acts.entries()) {
        if ("put" in one) {
          puts += at.table.find(kind, one.put, at.now) < 0 ? 1 : 0;
          at.table.put(kind, one.put, mostly(0), at.now);
          usedAt.set(`guard/${one.put}`, turn);
        } else if ("find" in one) {
          if (at.table.find(kind, one.find, at.now) >= 0) usedAt.set(`guard/${one.find}`, turn);
        } else if ("clear" in one) puts -= at.table.clear({ prefix: `guard/${one.clear}` });
        else if ("maxEntries" in one) at.table.configure({ maxEntries: one.maxEntries });
        else if ("fit" in one) at.table.configure({ maxBytes: one.fit * each });
        else {
          // With a statue before it, the guard has other keys.
          const next = createArchetypes(one.statue ? [statue, guard] : [guard]);
          at.table.adopt(next, at.table.settings());
          kind = next.named("guard") ?? kind;
        }
        const stats = at.table.stats();
        expect(stats.entries).toBeLessThanOrEqual(stats.maxEntries);
        expect(stats.bytes).toBeLessThanOrEqual(Math.max(each, stats.maxBytes));
        expect(stats.entries + stats.evictions).toBe(puts);
        expect(at.table.figures(kind).entries).toBe(stats.entries);
      }
      const keys: string[] = [];
      for (let after: string | undefined; ; ) {
        const page = at.table.entries({ limit, after });
        keys.push(...page.entries.map(({ key }) => key));
        after = page.next;
        if (after === undefined) break;
      }
      expect(new Set(keys).size).toBe(keys.length);
      expect(keys.length).toBe(at.table.stats().entries);
      const byUse = [...keys].sort((a, b) => (usedAt.get(b) ?? 0) - (usedAt.get(a) ?? 0));
      expect(keys).toEqual(byUse);
      for (const key of keys) {
        expect(at.table.find(kind, Number(key.slice("guard/".length)), at.now)).toBeGreaterThanOrEqual(0);
      }
    }),
  );
});

test("a change of limits within the same shards moves nothing: the slots stay", () => {
  const at = tableOf([guard], { ...roomy, maxEntries: 80 }, 20);
  const slots = Array.from({ length: 20 }, (_, situation) =>
    at.table.put(at.guard, situation, mostly(0), at.now),
  );
  at.table.configure({ maxEntries: 70 });
  for (const [situation, slot] of slots.entries()) {
    expect(at.table.find(at.guard, situation, at.now)).toBe(slot);
  }
});
