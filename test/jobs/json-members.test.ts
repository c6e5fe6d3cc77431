import { expect, test } from "bun:test";
import fc from "fast-check";
import { valueIn } from "../../src/jobs/json-members.ts";

const textOf = (body: string, key = "request"): string | undefined => {
  const value = valueIn(Buffer.from(body), key);
  return value && Buffer.from(value).toString();
};

test.each([
  ['{"request":{"seed":9223372036854775807}}', '{"seed":9223372036854775807}'],
  ['{"a":[1,{"request":2}],"request":"x,}\\"]:","b":1}', '"x,}\\"]:"'],
  ['{"request":1,"request":{"é":[]}}', '{"é":[]}'],
  ['{"re\\u0071uest":{ }}', "{ }"],
  ['{":":0,"request":[":"]}', '[":"]'],
  ["{}", undefined],
  ['{"other":{"request":1}}', undefined],
])("valueIn finds the value in %s as it is written", (body, value) => {
  expect(textOf(body)).toBe(value);
});

test("valueIn finds what JSON.parse does, whatever the object, its keys and its spaces", () => {
  const object = fc.dictionary(fc.string({ unit: "binary" }), fc.jsonValue());
  fc.assert(
    fc.property(object, fc.constantFrom(undefined, 1, "\t"), (value, indent) => {
      const body = JSON.stringify(value, undefined, indent);
      for (const [key, expected] of Object.entries<unknown>(JSON.parse(body)))
        expect(JSON.parse(textOf(body, key) ?? "")).toEqual(expected);
    }),
  );
});
