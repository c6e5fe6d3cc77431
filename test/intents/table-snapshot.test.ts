import { expect, test } from "bun:test";
import fc from "fast-check";
import { createArchetypes } from "../../src/intents/archetype.ts";
import { newAnswer } from "../../src/intents/intent-answer.ts";
import { encodeTable, restoreTable } from "../../src/intents/table-snapshot.ts";
import { guard, statue } from "../support/archetypes.ts";
import type { TableAt } from "../support/intent-table.ts";
import { keysOf, mostly, roomy, tableOf } from "../support/intent-table.ts";

/** All at once; answers how many came back. */
function restored({ table, now }: TableAt, bytes: Uint8Array, elapsedMs = 0): number {
  const restore = restoreTable(table, bytes, elapsedMs, () => now);
  if (typeof restore === "string") throw new Error(restore);
  while (restore.step(3)) {}
  return restore.restored;
}

function filled(count: number, rules = [guard]): TableAt {
  const at = tableOf(rules);
  for (let situation = 0; situation < count; situation += 1) {
    at.table.put(at.guard, situation, mostly(situation % 6), at.now);
    at.now += 10;
  }
  return at;
}

test("a table comes back with its order, odds and hits, and as much older as the time that passed", () => {
  const from = filled(20);
  from.table.find(from.guard, 4, from.now);
  const bytes = encodeTable(from.table, 2 ** 20, from.now);
  const to = tableOf();
  to.now = 77;
  expect(restored(to, bytes, 500)).toBe(20);
  expect(keysOf(to.table)).toEqual(keysOf(from.table));
  expect(to.table.entries({ limit: 1 }).entries[0]).toMatchObject({ key: "guard/4", hits: 1, ageMs: 660 });
  const answer = newAnswer();
  for (let situation = 0; situation < 20; situation += 1) {
    to.table.read(to.table.find(to.guard, situation, to.now), to.guard, 0, to.now, answer);
    expect(answer.action).toBe(situation % 6);
    expect(answer.confidence).toBeCloseTo(0.75, 4);
  }
});

test("the odds come back exactly, whatever they are, and with them every draw's chances", () => {
  const rule = { ...guard, pick: "sample" as const };
  fc.assert(
    fc.property(fc.array(fc.nat(1000), { minLength: 6, maxLength: 6 }), fc.nat(119), (odds, situation) => {
      fc.pre(odds.some((chance) => chance > 0));
      const [from, to] = [tableOf([rule]), tableOf([rule])];
      from.table.put(from.guard, situation, odds, from.now);
      expect(restored(to, encodeTable(from.table, 2 ** 20, from.now))).toBe(1);
      expect(encodeTable(to.table, 2 ** 20, to.now)).toEqual(encodeTable(from.table, 2 ** 20, from.now));
    }),
  );
});

test("the bound on bytes holds, and what is left out was least recently used", () => {
  const from = filled(20);
  for (const maxBytes of [100, 200, 333, 500, 5000]) {
    const bytes = encodeTable(from.table, maxBytes, from.now);
    expect(bytes.length).toBeLessThanOrEqual(maxBytes);
    const to = tableOf();
    const count = restored(to, bytes);
    expect(count).toBe(Math.min(20, Math.floor((maxBytes - 16) / 32)));
    expect(keysOf(to.table)).toEqual(keysOf(from.table).slice(0, count));
  }
});

test("what has expired is neither saved nor restored", () => {
  const from = filled(20);
  // Made 10 ms after one another, and usable for 11 s: the first ten have gone by.
  const later = 1_000_000 + 11_095;
  const bytes = encodeTable(from.table, 2 ** 20, later);
  expect(bytes.length).toBe(16 + 10 * 32);
  const to = tableOf();
  expect(restored(to, bytes, 50)).toBe(5);
  expect(keysOf(to.table)).toEqual([19, 18, 17, 16, 15].map((situation) => `guard/${situation}`));
});

test("an entry that is in the table by now stays, and time goes on between the steps", () => {
  const from = filled(20);
  const bytes = encodeTable(from.table, 2 ** 20, from.now);
  const to = tableOf();
  to.table.put(to.guard, 3, mostly(5), to.now);
  const restore = restoreTable(to.table, bytes, 0, () => to.now);
  if (typeof restore === "string") throw new Error(restore);
  expect(restore.step(10)).toBe(true);
  expect(restore.restored).toBe(9);
  to.now += 20_000;
  expect(restore.step(10)).toBe(false);
  expect([restore.restored, restore.dropped]).toEqual([9, 11]);
  to.now -= 20_000;
  const answer = newAnswer();
  to.table.read(to.table.find(to.guard, 3, to.now), to.guard, 0, to.now, answer);
  expect(answer.action).toBe(5);
});

test("a smaller table takes the most recently used, and evicts nothing for them", () => {
  const from = filled(20);
  const bytes = encodeTable(from.table, 2 ** 20, from.now);
  const to = tableOf([guard], { ...roomy, maxEntries: 5 });
  to.table.put(to.guard, 100, mostly(0), to.now);
  expect(restored(to, bytes)).toBe(4);
  expect(keysOf(to.table).sort()).toEqual(["guard/100", "guard/16", "guard/17", "guard/18", "guard/19"]);
  expect(to.table.stats().evictions).toBe(0);
});

test("entries of an archetype that is asked otherwise by now are dropped, the others come back", () => {
  const thief = { ...guard, name: "thief" };
  const from = tableOf([guard, thief]);
  for (const archetype of from.archetypes.all) from.table.put(archetype, 1, mostly(1), from.now);
  const bytes = encodeTable(from.table, 2 ** 20, from.now);
  // A prompt is none of a client's business: the epoch stays.
  const to = tableOf([{ ...guard, prompt: "Other." }, thief]);
  expect(to.archetypes.epoch).toBe(from.archetypes.epoch);
  expect(restored(to, bytes)).toBe(1);
  expect(keysOf(to.table)).toEqual(["thief/1"]);
});

test("a restore that is under way at a change of archetypes drops the rest", () => {
  const from = filled(20);
  const bytes = encodeTable(from.table, 2 ** 20, from.now);
  const to = tableOf();
  const restore = restoreTable(to.table, bytes, 0, () => to.now);
  if (typeof restore === "string") throw new Error(restore);
  restore.step(5);
  to.table.adopt(createArchetypes([statue, { ...guard, prompt: "Other." }]), roomy);
  expect(restore.step(100)).toBe(false);
  expect([restore.restored, restore.dropped, to.table.stats().entries]).toEqual([5, 15, 0]);
});

test("a restore that is under way at a reload goes on with every archetype that has not changed", () => {
  const from = filled(20);
  const bytes = encodeTable(from.table, 2 ** 20, from.now);
  const to = tableOf();
  const restore = restoreTable(to.table, bytes, 0, () => to.now);
  if (typeof restore === "string") throw new Error(restore);
  restore.step(5);
  to.table.adopt(createArchetypes([statue, guard]), roomy);
  expect(restore.step(100)).toBe(false);
  expect([restore.restored, restore.dropped, to.table.stats().entries]).toEqual([20, 0, 20]);
  expect(keysOf(to.table)).toEqual(keysOf(from.table));
});

test("bytes of another epoch are foreign", () => {
  const from = filled(2);
  const bytes = encodeTable(from.table, 2 ** 20, from.now);
  const to = tableOf([guard, statue]);
  expect(restoreTable(to.table, bytes, 0, () => to.now)).toBe("foreign-epoch");
});

test("bytes that are cut or too long are damaged, wherever the cut is", () => {
  const from = filled(3);
  const bytes = encodeTable(from.table, 2 ** 20, from.now);
  for (let length = 0; length < bytes.length; length += 1) {
    expect(restoreTable(from.table, bytes.subarray(0, length), 0, () => from.now)).toBe("damaged");
  }
  expect(restoreTable(from.table, new Uint8Array([...bytes, 0]), 0, () => from.now)).toBe("damaged");
});

test("no bytes make a restore throw, and no damaged entry gets an answer that nobody gave", () => {
  const from = filled(5);
  const good = encodeTable(from.table, 2 ** 20, from.now);
  const flipped = fc
    .array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
    .map((changes) => {
      const bytes = good.slice();
      for (const [at, value] of changes) bytes[at] = value;
      return bytes;
    });
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), flipped), (bytes) => {
      const to = tableOf();
      const restore = restoreTable(to.table, bytes, 0, () => to.now);
      if (typeof restore === "string") return;
      expect(restore.step(1000)).toBe(false);
      expect(to.table.stats().entries).toBeLessThanOrEqual(5);
      const answer = newAnswer();
      for (let situation = 0; situation < to.guard.situations; situation += 1) {
        const slot = to.table.find(to.guard, situation, to.now);
        if (slot < 0) continue;
        to.table.read(slot, to.guard, 0, to.now, answer);
        expect(answer.action).toBeLessThan(6);
        expect(answer.confidence).toBeGreaterThan(0);
        expect(answer.confidence).toBeLessThanOrEqual(1);
        expect(answer.ageMs).toBeGreaterThanOrEqual(0);
      }
    }),
    { numRuns: 300 },
  );
});

test("an empty table and an empty set survive the way", () => {
  const at = tableOf();
  at.table.adopt(createArchetypes([]), roomy);
  const bytes = encodeTable(at.table, 0, at.now);
  expect(bytes.length).toBe(12);
  expect(restored(at, bytes)).toBe(0);
});
