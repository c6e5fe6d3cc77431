import { expect, test } from "bun:test";
import fc from "fast-check";
import { drawAt, isRow, shareAt, whole, writeOdds } from "../../src/intents/odds.ts";

const someOdds = fc
  .array(fc.oneof(fc.constant(0), fc.double({ min: 0, max: 1e6, noNaN: true })), {
    minLength: 1,
    maxLength: 20,
  })
  .filter((odds) => odds.some((chance) => chance > 0));

test("writeOdds keeps every share to 1/65535, and the likeliest, the first of equals", () => {
  fc.assert(
    fc.property(someOdds, (odds) => {
      const row = new Uint16Array(20);
      const best = writeOdds(odds, odds.length, row, 0, row.length);
      const sum = odds.reduce((total, chance) => total + chance, 0);
      expect(best).toBe(odds.indexOf(Math.max(...odds)));
      for (const [action, chance] of odds.entries()) {
        expect(Math.abs(shareAt(row, 0, action) - chance / sum)).toBeLessThan(1.01 / whole);
      }
      expect(isRow(row, 0, odds.length, best)).toBe(true);
      expect([...row.subarray(odds.length - 1)].every((running) => running === whole)).toBe(true);
    }),
  );
});

test("drawAt never draws an action without a share", () => {
  fc.assert(
    fc.property(someOdds, fc.nat(), fc.nat(), (odds, seed, generation) => {
      const row = new Uint16Array(20);
      writeOdds(odds, odds.length, row, 0, row.length);
      expect(odds[drawAt(row, 0, seed, generation)]).toBeGreaterThan(0);
    }),
  );
});

test("the likeliest of equals is the first", () => {
  expect(writeOdds([0.2, 0.4, 0.4], 3, new Uint16Array(3), 0, 3)).toBe(1);
});

test("of 400,000 NPCs none draws the first action where it has no share", () => {
  const row = new Uint16Array(2);
  writeOdds([0, 1], 2, row, 0, 2);
  let first = 0;
  for (let seed = 0; seed < 400_000; seed += 1) if (drawAt(row, 0, seed, 1) === 0) first += 1;
  expect(first).toBe(0);
});

test("drawAt gives neighbouring seeds the actions by the odds, in every generation", () => {
  const odds = [0.5, 0, 0.3, 0.15, 0.05];
  const row = new Uint16Array(5);
  writeOdds(odds, 5, row, 0, 5);
  const crowd = 10_000;
  for (const generation of [1, 2, 3, 1_000_000]) {
    const counts = [0, 0, 0, 0, 0];
    for (let seed = 0; seed < crowd; seed += 1) {
      const action = drawAt(row, 0, seed, generation);
      counts[action] = (counts[action] ?? 0) + 1;
    }
    const chiSquare = odds.reduce(
      (sum, chance, action) =>
        chance === 0 ? sum : sum + ((counts[action] ?? 0) - chance * crowd) ** 2 / (chance * crowd),
      0,
    );
    // Three degrees of freedom: one fair draw in a thousand is above 16.3.
    expect(chiSquare).toBeLessThan(16.3);
    expect(counts[1]).toBe(0);
  }
});

test.each([
  ["too few", [1]],
  ["too many", [1, 0, 0]],
  ["not a number", [Number.NaN, 1]],
  ["negative", [-0.1, 1]],
  ["all zero", [0, 0]],
  ["infinite", [Number.POSITIVE_INFINITY, 1]],
])("writeOdds throws for odds that are %s", (_what, odds) => {
  expect(() => writeOdds(odds, 2, new Uint16Array(2), 0, 2)).toThrow(RangeError);
});
