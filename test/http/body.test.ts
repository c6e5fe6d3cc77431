// The few members that routing reads of a body, and what is refused for want of being one.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readFields } from "../../src/http/body.ts";

const fields = (text: string) => readFields(Buffer.from(text));

describe("readFields", () => {
  test("reads model, stream and whether there is a priority", () => {
    expect(fields('{"model":"m","stream":true,"priority":0}')).toMatchObject({
      model: "m",
      stream: true,
      hasPriority: true,
    });
    expect(fields("{}")).toMatchObject({ model: undefined, stream: false, hasPriority: false });
  });

  test("hands over the whole of what it has parsed", () => {
    expect(fields('{"model":"m","temperature":0}')).toMatchObject({ parsed: { model: "m", temperature: 0 } });
  });

  test("reads the user where it is a string, and leaves everything else to the engine", () => {
    fc.assert(
      fc.property(fc.jsonValue(), (user) => {
        const expected = typeof user === "string" ? user : undefined;
        expect(fields(JSON.stringify({ model: "m", user }))).toMatchObject({ user: expected });
      }),
    );
    expect(fields('{"metadata":{"user":"nested"},"__proto__":{"user":"u"}}')).toMatchObject({
      user: undefined,
    });
  });

  test("streams only on true itself", () => {
    for (const value of ["false", "null", "1", '"true"', "{}"]) {
      expect(fields(`{"stream":${value}}`)).toMatchObject({ stream: false });
    }
  });

  test("reads only the top level", () => {
    expect(fields('{"a":{"model":"m","stream":true,"priority":1}}')).toMatchObject({
      model: undefined,
      stream: false,
      hasPriority: false,
    });
  });

  test("takes the last of two models, as engines do", () => {
    expect(fields('{"model":"first","model":"last"}')).toMatchObject({ model: "last" });
  });

  test("is not taken in by __proto__", () => {
    expect(fields('{"__proto__":{"model":"m","stream":true,"priority":1}}')).toMatchObject({
      model: undefined,
      stream: false,
      hasPriority: false,
    });
  });

  for (const value of ["5", "null", "[]", "{}", "true"]) {
    test(`refuses a model that is ${value}, and says which member is wrong`, () => {
      expect(fields(`{"model":${value}}`)).toMatchObject({ code: "invalid_request", param: "model" });
    });
  }

  for (const text of ["", " ", "{", "[]", "null", "5", '"text"', "{'model':1}", '{"a":1}x', "\u0000"]) {
    test(`refuses ${JSON.stringify(text)}`, () => {
      expect(fields(text)).toMatchObject({ code: "invalid_request" });
    });
  }

  test("refuses bytes that are not UTF-8", () => {
    expect(readFields(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]))).toMatchObject({
      code: "invalid_request",
    });
  });

  test("answers any bytes with fields or a refusal, and never throws", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array(),
          fc.json().map((text) => new TextEncoder().encode(text)),
        ),
        (bytes) => {
          const read = readFields(bytes);
          expect("code" in read || "stream" in read).toBe(true);
        },
      ),
    );
  });
});
