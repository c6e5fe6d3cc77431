// How deep JSON goes, against what JSON.parse makes of it.

import { expect, test } from "bun:test";
import fc from "fast-check";
import { isDeeperThan } from "../../src/base/nesting.ts";

function depthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

test("the depth is that of the parsed value, whatever its strings hold", () => {
  const text = fc.oneof(fc.string(), fc.constantFrom("[[[", '"]', "\\", '\\"{', '\\\\"'));
  const json = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 6 }, text, fc.integer(), tie("list"), tie("record")),
    list: fc.array(tie("value"), { maxLength: 4 }),
    record: fc.dictionary(text, tie("value"), { maxKeys: 4 }),
  })).value;
  fc.assert(
    fc.property(json, fc.nat(8), (value, most) => {
      expect(isDeeperThan(JSON.stringify(value), most)).toBe(depthOf(value) > most);
    }),
    { numRuns: 500 },
  );
});

test("text that is no JSON ends the search, never with a throw", () => {
  for (const text of ["", '"', '"\\', "]]]]", '{"a', '[["\\"[[[']) expect(isDeeperThan(text, 2)).toBe(false);
  expect(isDeeperThan("[".repeat(1_000_000), 100)).toBe(true);
});
