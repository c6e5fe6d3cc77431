// Where a body names its model: against JSON.parse, for any body that a caller could write.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { modelSpan } from "../../src/dispatch/model-span.ts";

/** The body with another name spliced in, as engine-call does it. */
function spliced(text: string, name: string): string {
  const bytes = Buffer.from(text);
  const span = modelSpan(bytes);
  if (span === undefined) throw new Error(`no model found in ${text}`);
  const renamed = Buffer.from(JSON.stringify(name));
  return Buffer.concat([bytes.subarray(0, span.start), renamed, bytes.subarray(span.end)]).toString();
}

const rows: readonly (readonly [title: string, body: string, renamed: string])[] = [
  ["the plain case", '{"model":"a","x":1}', '{"model":"B","x":1}'],
  ["at the end", '{"x":1,"model":"a"}', '{"x":1,"model":"B"}'],
  ["white space of every kind", '{ "model"\t:\r\n "a" , "x":1}', '{ "model"\t:\r\n "B" , "x":1}'],
  ["an empty name", '{"model":""}', '{"model":"B"}'],
  ["a name with quotes and backslashes", '{"model":"a\\"b\\\\","x":1}', '{"model":"B","x":1}'],
  ["a name with braces and colons", '{"model":"{\\"model\\":1}","x":1}', '{"model":"B","x":1}'],
  ["multi-byte characters before it", '{"名":"💥é","model":"a"}', '{"名":"💥é","model":"B"}'],
  ["a nested model before it", '{"x":{"model":"n"},"model":"a"}', '{"x":{"model":"n"},"model":"B"}'],
  ["a nested model behind it", '{"model":"a","x":[{"model":"n"}]}', '{"model":"B","x":[{"model":"n"}]}'],
  ["a value that reads model", '{"x":"model","model":"a"}', '{"x":"model","model":"B"}'],
  ["a key that ends in model", '{"x\\"model":"n","model":"a"}', '{"x\\"model":"n","model":"B"}'],
  [
    "a message that quotes the key",
    '{"m":"\\"model\\":\\"n\\"","model":"a"}',
    '{"m":"\\"model\\":\\"n\\"","model":"B"}',
  ],
  ["an escaped key", '{"\\u006dodel":"a"}', '{"\\u006dodel":"B"}'],
  ["an escape elsewhere", '{"x":"\\u0041","model":"a"}', '{"x":"\\u0041","model":"B"}'],
  ["a key twice: the last counts", '{"model":"n","model":"a"}', '{"model":"n","model":"B"}'],
  ["an escaped key after a plain one", '{"model":"n","mod\\u0065l":"a"}', '{"model":"n","mod\\u0065l":"B"}'],
  [
    "a longer key before it",
    '{"models":["m"],"model_name":"x","model":"a"}',
    '{"models":["m"],"model_name":"x","model":"B"}',
  ],
  ["arrays of arrays before it", '{"x":[[[]],["model"]],"model":"a"}', '{"x":[[[]],["model"]],"model":"B"}'],
];

describe("modelSpan", () => {
  for (const [title, body, renamed] of rows) {
    test(`finds the model with ${title}`, () => {
      expect(spliced(body, "B")).toBe(renamed);
    });
  }

  test("finds it in a view into a larger buffer", () => {
    const buffer = Buffer.from('"model":"x"{"model":"a"}"model":"y"');
    const span = modelSpan(buffer.subarray(11, -11));
    expect(span).toEqual({ start: 9, end: 12 });
  });

  test("finds nothing where there is none at the top", () => {
    for (const body of ["{}", '{"x":{"model":"n"},"y":["model"]}', '{"models":"a"}']) {
      expect([body, modelSpan(Buffer.from(body))]).toEqual([body, undefined]);
    }
  });

  test("whatever the body, splicing changes the model to JSON.parse's eyes and not one other byte", () => {
    const text = fc.oneof(
      fc.string({ unit: "grapheme", maxLength: 12 }),
      fc.constantFrom("model", '"model":"x"', "\\", '"', "{", "mod\u0065l", "\u2028"),
    );
    const nested = fc.oneof(
      fc.jsonValue({ maxDepth: 3 }),
      text,
      fc.dictionary(fc.oneof(fc.constant("model"), text), text, { maxKeys: 3 }),
    );
    const spaces = fc.constantFrom("", " ", "\n  ", "\t", "\r\n");
    const escaped = (key: string): string => `"${key.replace("o", "\\u006f")}"`;
    const members = fc.array(fc.tuple(text, nested), { maxLength: 6 });
    fc.assert(
      fc.property(
        members,
        text,
        text,
        fc.nat(6),
        spaces,
        fc.boolean(),
        fc.boolean(),
        (others, model, name, at, gap, twice, odd) => {
          const pairs = others
            .filter(([key]) => key !== "model")
            .map(([key, value]) => `${JSON.stringify(key)}${gap}:${gap}${JSON.stringify(value, null, gap)}`);
          const key = odd ? escaped("model") : '"model"';
          const own = `${key}${gap}:${gap}`;
          pairs.splice(Math.min(at, pairs.length), 0, `${own}${JSON.stringify(model)}`);
          // An earlier model, which no parser heeds.
          if (twice) pairs.unshift('"model":"earlier"');
          const body = `${gap}{${gap}${pairs.join(`${gap},${gap}`)}${gap}}${gap}`;

          const before: unknown = JSON.parse(body);
          const after: unknown = JSON.parse(spliced(body, name));
          expect(after).toEqual({ ...Object(before), model: name });
          const span = modelSpan(Buffer.from(body));
          expect(Buffer.from(body).subarray(span?.start, span?.end).toString()).toBe(JSON.stringify(model));
          expect(spliced(spliced(body, name), model)).toBe(body);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
