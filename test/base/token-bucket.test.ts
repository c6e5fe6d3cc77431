// The bucket earns by the second and by the deposit, and never holds more than its size.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { tokenBucket } from "../../src/base/token-bucket.ts";

const start = 1_000_000;

function drain(bucket: ReturnType<typeof tokenBucket>, now: number): number {
  let taken = 0;
  while (bucket.withdraw(now)) taken += 1;
  return taken;
}

describe("a token bucket", () => {
  test("starts full, and is empty after that many", () => {
    expect(
      drain(
        tokenBucket(1, () => 5, start),
        start,
      ),
    ).toBe(5);
  });

  test("earns by the second, up to its size and no further", () => {
    const bucket = tokenBucket(2, () => 5, start);
    drain(bucket, start);
    expect(bucket.withdraw(start + 499)).toBe(false);
    expect(bucket.withdraw(start + 500)).toBe(true);
    expect(drain(bucket, start + 3_600_000)).toBe(5);
  });

  test("takes deposits in fractions, up to its size", () => {
    const bucket = tokenBucket(0, () => 2, start);
    drain(bucket, start);
    for (let deposit = 0; deposit < 9; deposit += 1) bucket.deposit(0.125, start);
    expect(drain(bucket, start)).toBe(1);
    bucket.deposit(100, start);
    expect(bucket.level(start)).toBe(2);
  });

  test("loses what no longer fits when its size shrinks", () => {
    let size = 10;
    const bucket = tokenBucket(0, () => size, start);
    size = 3;
    expect(bucket.level(start)).toBe(3);
  });

  test("earns nothing twice when an instant is given late", () => {
    const bucket = tokenBucket(1, () => 100, start);
    drain(bucket, start);
    bucket.level(start + 10_000);
    bucket.level(start);
    expect(bucket.level(start + 10_000)).toBe(10);
  });

  test("never lends: in any time it gives at most its size and what was earned", () => {
    const step = fc.record({ afterMs: fc.nat(5000), deposit: fc.double({ min: 0, max: 1, noNaN: true }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
        const bucket = tokenBucket(3, () => 10, start);
        let now = start;
        let earned = 10;
        let taken = 0;
        for (const { afterMs, deposit } of steps) {
          now += afterMs;
          earned += (afterMs / 1000) * 3 + deposit;
          bucket.deposit(deposit, now);
          taken += drain(bucket, now);
          expect(taken).toBeLessThanOrEqual(earned + 1e-6);
        }
      }),
    );
  });
});
