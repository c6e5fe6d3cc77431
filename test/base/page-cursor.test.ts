// A page goes on where the one before ended, whatever signs the key has.

import { expect, test } from "bun:test";
import fc from "fast-check";
import { cursorText, useBelow } from "../../src/base/page-cursor.ts";

const never = (): never => {
  throw new Error("a cursor says its use itself");
};

test("useBelow reads the use that cursorText wrote, after any key", () => {
  const key = fc.oneof(fc.string(), fc.constantFrom("", "@", "a@7", "guard@7/1", "a\n@1"));
  fc.assert(
    fc.property(key, fc.nat(Number.MAX_SAFE_INTEGER), (name, use) => {
      expect(useBelow(cursorText(name, use), never)).toBe(use);
    }),
  );
});

test("useBelow asks for the use of a bare key, begins nowhere after one that is gone, and at the front without any", () => {
  const useOf = (key: string) => (key === "here" ? 7 : undefined);
  expect(useBelow("here", useOf)).toBe(7);
  expect(useBelow("gone", useOf)).toBe(0);
  expect(useBelow(undefined, useOf)).toBe(Number.POSITIVE_INFINITY);
});
