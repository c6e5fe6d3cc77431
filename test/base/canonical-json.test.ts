// Two bodies that say the same have one text; two that do not have two, or none.

import { describe, expect, test } from "bun:test";
import { isDeepStrictEqual } from "node:util";
import fc from "fast-check";
import { canonicalJson } from "../../src/base/canonical-json.ts";

/** In a body, since that is what has a text. */
const of = (text: string) => canonicalJson({ body: JSON.parse(text) });

/** The same value with the members of every object the other way round. */
function turned(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(turned);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([name, member]) => [name, turned(member)]),
  );
}

describe("canonicalJson", () => {
  test.each([
    ['{"b":1,"a":{"d":[],"c":null}}', '{ "a": {"c": null, "d": [ ]}, "b": 1.0 }'],
    ['{"text":"h\\u00e9\\/"}', '{"text":"hé/"}'],
    ["[1e2,0.10,-0]", "[100, 0.1, 0]"],
    ['{"a":1,"a":2}', '{"a":2}'],
  ])("%s and %s are one", (one, other) => {
    expect(of(one)).toBeString();
    expect(of(one)).toBe(of(other));
  });

  test.each([
    ["[1,2]", "[2,1]"],
    ["[1,2]", "[12]"],
    ['{"a":"1"}', '{"a":1}'],
    ['{"a":null}', "{}"],
    ["[null]", "[]"],
    ['["a,b"]', '["a","b"]'],
    ['["1\\"b"]', '["","b"]'],
    ['{"a":{},"b":1}', '{"a":{"b":1}}'],
    ['"\\ud800"', '"\\ud801"'],
    ["true", '"t"'],
  ])("%s and %s are two", (one, other) => {
    expect(of(one)).toBeString();
    expect(of(one)).not.toBe(of(other));
  });

  test.each([
    "[9007199254740993]",
    '{"seed":12345678901234567890}',
    "[1e999]",
    "[-1e300]",
    '{"__proto__":1}',
  ])("%s has none: it may be parsed otherwise than an engine does", (text) => {
    expect(of(text)).toBeUndefined();
  });

  test("a body nested beyond reason has none, and exhausts nothing", () => {
    expect(of(`${"[".repeat(63)}${"]".repeat(63)}`)).toBeString();
    expect(of(`${"[".repeat(64)}${"]".repeat(64)}`)).toBeUndefined();
    expect(of(`${'{"a":'.repeat(5000)}1${"}".repeat(5000)}`)).toBeUndefined();
  });

  test("leaves out the member that does not count, at the outermost level only", () => {
    const of = (text: string) => canonicalJson(JSON.parse(text), "model");
    expect(of('{"model":"a","b":1}')).toBe(of('{"b":1}'));
    expect(of('{"b":{"model":1}}')).not.toBe(of('{"b":{}}'));
  });

  test("takes no longer for each level of members out of order", () => {
    const deep = (levels: number): string => (levels === 0 ? "1" : `{"a":${deep(levels - 1)},"b":1}`);
    expect(of(deep(60))).toBeString();
  });

  test("an object with many members has one text in any order", () => {
    const names = fc.uniqueArray(fc.string({ maxLength: 3 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(names, (all) => {
        const value = Object.fromEntries(all.map((name, index) => [name, index]));
        const text = canonicalJson(value);
        expect(of(JSON.stringify(turned(value)))).toBe(of(JSON.stringify(value)));
        if (text !== undefined) expect(JSON.parse(text)).toEqual(value);
      }),
      { numRuns: 200 },
    );
  });

  test("two values have one text exactly where they are equal, whatever the order of members", () => {
    // Few letters and shallow, so that near misses happen.
    const leaf = fc.oneof(fc.nat(12), fc.constantFrom('"', "[", "{", "1", '1"a', "n", "", "t"), fc.boolean());
    const { value } = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        leaf,
        fc.constant(null),
        fc.array(tie("value"), { maxLength: 3 }),
        fc.dictionary(fc.constantFrom("a", "b", '1"a', "{"), tie("value"), { maxKeys: 3 }),
      ),
    }));
    fc.assert(
      fc.property(value, value, (one, other) => {
        const text = of(JSON.stringify(one));
        expect(of(JSON.stringify(turned(one)))).toBe(text);
        expect(JSON.parse(text ?? "")).toEqual({ body: plain(one) });
        expect(text === of(JSON.stringify(other))).toBe(isDeepStrictEqual(plain(one), plain(other)));
      }),
      { numRuns: 2000 },
    );
  });
});

/** fast-check's dictionaries may have no prototype, which is no difference in JSON. */
const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
