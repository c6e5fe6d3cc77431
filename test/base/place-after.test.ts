import { expect, test } from "bun:test";
import fc from "fast-check";
import { placeAfter } from "../../src/base/place-after.ts";

test("placeAfter keeps a list ascending, and is behind all that weigh as much", () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 20 })),
      fc.integer({ min: 0, max: 20 }),
      (given, weight) => {
        const sorted = given.toSorted((a, b) => a - b);
        const place = placeAfter(sorted, weight, (each) => each);
        expect(place).toBe(sorted.filter((each) => each <= weight).length);
      },
    ),
  );
});
