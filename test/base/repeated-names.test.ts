// Names that stand twice in one object, against what JSON.parse makes of them.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { repeatsName } from "../../src/base/repeated-names.ts";

const repeats = (text: string): boolean => repeatsName(Buffer.from(text), JSON.parse(text));

describe("repeatsName finds", () => {
  test.each([
    '{"a":1,"a":1}',
    '{"a":1,"b":[{"c":{"d":1 , "d"\n:\t2}}]}',
    '{"a":1,"\\u0061":2}',
    '{"":1,"":2}',
    '{"é\\"":1,"é\\"":2}',
    '{"a":{"a":1},"a":[]}',
    '{"__proto__":1,"__proto__":2}',
  ])("a name twice in %s", (text) => {
    expect(repeats(text)).toBe(true);
  });
});

describe("repeatsName finds none", () => {
  test.each([
    "{}",
    "[]",
    '{"a":{"a":{"a":1}},"b":[{"a":1},{"a":1}]}',
    '{"a":"\\"a\\":1,\\"a\\":2","b":"\\\\"}',
    '{"a":["b:",":","b"],"A":1}',
    '{"__proto__":{"a":1},"a":1,"constructor":2}',
  ])("in %s", (text) => {
    expect(repeats(text)).toBe(false);
  });

  test("in what goes deeper than any stack", () => {
    const levels = 50_000;
    expect(repeats(`${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`)).toBe(false);
  });

  test("in what JSON.stringify wrote; and finds one wherever an object is given a name that it has", () => {
    const text = fc.oneof(
      fc.string({ unit: "grapheme" }),
      fc.constantFrom('"', '":', "\\", '\\":', '{"', ":"),
    );
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        text,
        fc.integer(),
        fc.constant(null),
        fc.array(tie("value"), { maxLength: 4 }),
        fc.dictionary(text, tie("value"), { maxKeys: 4, noNullPrototype: true }),
      ),
    }));
    fc.assert(
      fc.property(value, text, value, fc.constantFrom(undefined, 1, "\t"), (one, name, other, space) => {
        const json = (each: unknown): string => JSON.stringify(each, undefined, space);
        expect(repeats(json({ [name]: one }))).toBe(false);
        const member = `${json(name)} : `;
        expect(repeats(`[{${member}${json(one)}, "x${name.length}":1,${member}${json(other)}}]`)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });
});
