// The load hint that rides on an answer: five numbers there and back, and nothing else.

import { expect, test } from "bun:test";
import fc from "fast-check";
import type { Load } from "../../src/fleet/load.ts";
import { loadHint, readLoadHint } from "../../src/fleet/load.ts";

const count = fc.nat(1_000_000);
const maybe = (value: fc.Arbitrary<number>) => fc.option(value, { nil: undefined });
const anyLoad: fc.Arbitrary<Load> = fc.record({
  at: fc.integer({ min: 0, max: 1e12 }),
  inflight: count,
  waiting: count,
  kvPercent: maybe(fc.nat(100)),
  firstByteMs: maybe(count),
});

test("a load hint comes back as it was sent, in at most 60 characters that a header may hold", () => {
  fc.assert(
    fc.property(anyLoad, (load) => {
      const hint = loadHint(load);
      expect(hint).toMatch(/^[0-9 -]{9,60}$/);
      expect(readLoadHint(hint)).toEqual(load);
    }),
  );
});

test("a hint of a later version with more to say is read for what we know", () => {
  expect(readLoadHint("5 4 3 2 1 99")).toEqual({
    at: 5,
    inflight: 4,
    waiting: 3,
    kvPercent: 2,
    firstByteMs: 1,
  });
});

test("what is no hint is none, and nothing throws", () => {
  for (const text of [
    "",
    "1",
    "1 2",
    "a b c d e",
    "1 -2 3 4 5",
    "1 2 3 101 5",
    "1e3 2 3 4 5",
    "1 - 3 4 5",
    "0x1 2 3 4 5",
  ])
    expect([text, readLoadHint(text)]).toEqual([text, undefined]);
  expect(readLoadHint("1 ".repeat(1000))).toBeUndefined();
  fc.assert(fc.property(fc.string(), (text) => void readLoadHint(text)));
});
