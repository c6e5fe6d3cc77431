// The earlier of two moments.

import { expect, test } from "bun:test";
import { earlier } from "../../src/base/earlier.ts";

test("the earlier of two moments is the one that comes first, and any comes before never", () => {
  expect([earlier(1, 2), earlier(2, 1), earlier(undefined, 2), earlier(1, undefined)]).toEqual([1, 1, 2, 1]);
  expect(earlier(undefined, undefined)).toBeUndefined();
});
