import { expect, test } from "bun:test";
import { until } from "../../src/base/until.ts";
import { virtualClock } from "../support/virtual-clock.ts";

test.each([
  ["at once where it is so already", 0, 0],
  ["within 5 ms of its being so", 42, 45],
  ["at the limit where it is never so", Number.POSITIVE_INFINITY, 300],
])("until resolves %s", async (_, soAtMs, resolvedAtMs) => {
  const clock = virtualClock();
  const start = clock.now();
  let resolved: number | undefined;
  const waiting = until(() => clock.now() - start >= soAtMs, 300, clock).then(() => {
    resolved = clock.now() - start;
  });
  await clock.advance(400);
  await waiting;
  expect(resolved).toBe(resolvedAtMs);
});
