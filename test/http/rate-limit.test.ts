// One key's limit: how much passes, and what is said of it.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { seededRandom } from "../../src/base/random.ts";
import type { Rate } from "../../src/http/rate-limit.ts";
import { createRateLimit, durationText } from "../../src/http/rate-limit.ts";
import { openAiErrorOf } from "../support/openai-error.ts";
import { virtualClock } from "../support/virtual-clock.ts";

function scene(rate: Rate, level?: number) {
  const clock = virtualClock();
  const limit = createRateLimit("lobby", rate, clock, seededRandom(1), level);
  const told = (): Record<string, string> => {
    const headers = new Headers();
    limit.tell(headers);
    return Object.fromEntries(headers);
  };
  const drain = (): number => {
    let taken = 0;
    while (limit.take()) taken += 1;
    return taken;
  };
  return { clock, limit, told, drain };
}

describe("a limit", () => {
  test("lets the burst pass at once, then as many as there are in a second, and saves up no more than the burst", async () => {
    const { clock, drain } = scene({ perSecond: 20, burst: 50 });
    expect(drain()).toBe(50);
    await clock.advance(1000);
    expect(drain()).toBe(20);
    await clock.advance(3_600_000);
    expect(drain()).toBe(50);
  });

  test("of a fraction lets one pass in so many seconds", async () => {
    const { clock, drain } = scene({ perSecond: 0.1, burst: 1 });
    expect(drain()).toBe(1);
    await clock.advance(9_900);
    expect(drain()).toBe(0);
    await clock.advance(200);
    expect(drain()).toBe(1);
  });

  test("over any time lets no more pass than the burst and what the rate has brought, however it is asked", async () => {
    const rates = fc.record({
      perSecond: fc.integer({ min: 1, max: 100 }),
      burst: fc.integer({ min: 1, max: 50 }),
    });
    const waits = fc.array(fc.integer({ min: 0, max: 500 }), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(rates, waits, async (rate, pauses) => {
        const { clock, drain } = scene(rate);
        let passed = drain();
        let ms = 0;
        for (const pause of pauses) {
          await clock.advance(pause);
          ms += pause;
          passed += drain();
        }
        expect(passed).toBeLessThanOrEqual(rate.burst + (ms / 1000) * rate.perSecond + 1e-6);
      }),
      { numRuns: 200 },
    );
  });
});

describe("what is told of a limit", () => {
  test("is what is left and when all is back, in OpenAI's words and in the IETF's", async () => {
    const { clock, limit, told } = scene({ perSecond: 20, burst: 40 });
    expect(told()).toEqual({
      "x-ratelimit-limit-requests": "40",
      "x-ratelimit-remaining-requests": "40",
      "x-ratelimit-reset-requests": "0s",
      "ratelimit-policy": '"lobby";q=40;w=2',
      ratelimit: '"lobby";r=40;t=0',
    });
    for (let count = 0; count < 25; count += 1) limit.take();
    expect(told()).toMatchObject({
      "x-ratelimit-remaining-requests": "15",
      "x-ratelimit-reset-requests": "1.25s",
      ratelimit: '"lobby";r=15;t=2',
    });
    await clock.advance(1233);
    expect(told()).toMatchObject({
      "x-ratelimit-remaining-requests": "39",
      "x-ratelimit-reset-requests": "17ms",
      ratelimit: '"lobby";r=39;t=1',
    });
  });

  test.each([
    [{ perSecond: 200, burst: 200 }, "q=200;w=1"],
    // In less than a second the bucket is full again; a window of the draft has no fractions.
    [{ perSecond: 200, burst: 50 }, "q=200;w=1"],
    [{ perSecond: 2.5, burst: 3 }, "q=5;w=2"],
    [{ perSecond: 0.1, burst: 1 }, "q=1;w=10"],
    [{ perSecond: 0.3, burst: 1 }, "q=1;w=4"],
  ])("of %o is the policy %s: whole numbers, as structured fields have them", (rate, policy) => {
    expect(scene(rate).told()["ratelimit-policy"]).toBe(`"lobby";${policy}`);
  });

  test("to who is refused is when to come again, which is when there is one left, and no more than a quarter later", async () => {
    const { clock, limit, drain } = scene({ perSecond: 4, burst: 2 });
    drain();
    const response = limit.refusal();
    expect(response.status).toBe(429);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "x-should-retry": "true",
      "x-tierline-because": "rate-limited",
      "retry-after": "1",
      "x-ratelimit-remaining-requests": "0",
      "x-ratelimit-reset-requests": "500ms",
    });
    const waitMs = Number(response.headers.get("retry-after-ms"));
    expect(waitMs).toBeGreaterThanOrEqual(250);
    expect(waitMs).toBeLessThanOrEqual(313);
    expect(await openAiErrorOf(response)).toEqual({
      message:
        "The key lobby may make 4 requests a second here, 2 at once, and has made them. Try again in 250ms.",
      type: "rate_limit_error",
      param: null,
      code: "rate_limited",
    });
    await clock.advance(waitMs);
    expect(limit.take()).toBe(true);
  });

  test("is never a wait of more than a minute, which SDKs would not heed", () => {
    const { limit, drain } = scene({ perSecond: 0.001, burst: 1 });
    drain();
    expect(limit.refusal().headers.get("retry-after-ms")).toBe("60000");
  });
});

test.each([
  [0, "0s"],
  [1, "1ms"],
  [999, "999ms"],
  [1000, "1s"],
  [8640, "8.64s"],
  [360_000, "6m0s"],
  [86_400, "1m26.4s"],
  [7_384_000, "2h3m4s"],
])("%i ms are %s, as OpenAI writes them", (ms, text) => {
  expect(durationText(ms)).toBe(text);
});
