// From which moment on a second call is likely to be first: by the shape of what is known.

import { describe, expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import { createHedgeDelay, hedgeDelayRule } from "../../src/fleet/hedge-delay.ts";

/** What becomes of `count` calls, each as long as `draw` says. `cutMs`: nobody waits longer. */
function learned(draw: (random: () => number) => number, count = 2000, cutMs = Number.POSITIVE_INFINITY) {
  const delay = createHedgeDelay();
  const random = seededRandom(7);
  const share = { cut: 0 };
  for (let call = 0; call < count; call += 1) {
    const ms = draw(random);
    if (ms < cutMs) delay.answered(ms, call);
    else {
      delay.cutOff(cutMs, call);
      share.cut += 1 / count;
    }
  }
  return { afterMs: delay.afterMs, ...share };
}

const usual = (random: () => number): number => 18 + 4 * random();
const normal = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

describe("the delay of a hedge", () => {
  for (const share of [0.02, 0.05, 0.1]) {
    test(`lies at the edge of the usual answers where ${share * 100} % take 500 ms instead of 20`, () => {
      const { afterMs } = learned((random) => (random() < share ? 500 : usual(random)));
      expect(afterMs).toBeGreaterThan(18);
      expect(afterMs).toBeLessThan(26);
    });
  }

  test("is late enough that not many more than the slow ones are doubled", () => {
    const slow = (random: () => number): number => (random() < 0.1 ? 500 : usual(random));
    const { afterMs = 0 } = learned(slow);
    expect(learned(slow, 2000, afterMs).cut).toBeLessThan(0.15);
  });

  test("lies far out in a long tail without an edge: near its 95th percentile", () => {
    const { afterMs } = learned((random) => 20 * Math.exp(normal(random)), 20_000);
    expect(afterMs).toBeGreaterThan(60);
    expect(afterMs).toBeLessThan(200);
  });

  for (const [title, draw] of [
    ["all take as long", usual],
    ["all are slow", (random) => 10 * usual(random)],
    ["nothing is learned by waiting (exponential)", (random) => -20 * Math.log(1 - random())],
    ["the slow ones are too many to be a tail", (random) => (random() < 0.4 ? 500 : usual(random))],
    ["the slow ones are hardly slower", (random) => (random() < 0.1 ? 28 : usual(random))],
    ["one in a thousand is slow", (random) => (random() < 0.001 ? 500 : usual(random))],
  ] as const satisfies readonly (readonly [string, (random: () => number) => number])[]) {
    test(`is none where ${title}`, () => {
      expect(learned(draw).afterMs).toBeUndefined();
    });
  }

  test("is none before enough is known", () => {
    const slow = (random: () => number): number => (random() < 0.1 ? 500 : usual(random));
    expect(learned(slow, hedgeDelayRule.answersLeast - 1).afterMs).toBeUndefined();
    expect(learned(slow, 4 * hedgeDelayRule.answersLeast).afterMs).toBeDefined();
  });

  test("stays where it is when the slow ones are cut off by hedges: they count as having lasted so long", () => {
    const slow = (random: () => number): number => (random() < 0.1 ? 500 : usual(random));
    const { afterMs = 0 } = learned(slow);
    expect(learned(slow, 2000, afterMs + 20).afterMs).toBe(afterMs);
  });

  test("is none any more when all calls have become slow and are cut off: that is no tail", () => {
    const delay = createHedgeDelay();
    const random = seededRandom(7);
    for (let call = 0; call < 500; call += 1) delay.answered(random() < 0.1 ? 500 : usual(random), call);
    const { afterMs = 0 } = delay;
    expect(afterMs).toBeGreaterThan(0);
    for (let call = 0; call < 500; call += 1) delay.cutOff(afterMs + 20, 500 + call);
    expect(delay.afterMs).toBeUndefined();
  });

  test("forgets by half in a minute", () => {
    const delay = createHedgeDelay();
    const random = seededRandom(7);
    for (let call = 0; call < 320; call += 1) delay.answered(random() < 0.1 ? 500 : usual(random), call);
    expect(delay.afterMs).toBeDefined();
    for (let call = 0; call < 64; call += 1) delay.answered(usual(random), 10 * hedgeDelayRule.halfLifeMs);
    expect(delay.afterMs).toBeUndefined();
  });
});
