import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { createReplayMemory } from "../../src/host/replay-memory.ts";

const startMs = 1_000_000_000;
const minuteMs = 60_000;

describe("the replay memory", () => {
  const cases: readonly [string, stampMs: number, verdict: string][] = [
    ["now", 0, "fresh"],
    ["a minute ahead", minuteMs, "fresh"],
    ["more than a minute ahead", minuteMs + 1, "stale"],
    ["a minute behind", -minuteMs, "fresh"],
    ["more than a minute behind", -minuteMs - 1, "stale"],
  ];
  for (const [title, stampMs, verdict] of cases) {
    test(`finds a stamp ${title} ${verdict}`, () => {
      const memory = createReplayMemory(10, startMs);
      const nowMs = startMs + 10 * minuteMs;
      expect(memory.judge("a", nowMs + stampMs, nowMs)).toBe(verdict as never);
    });
  }

  test("finds a stamp from before its own start stale, because it cannot know what came then", () => {
    const memory = createReplayMemory(10, startMs);
    expect(memory.judge("a", startMs - 1, startMs + 5)).toBe("stale");
    expect(memory.judge("b", startMs, startMs + 5)).toBe("fresh");
  });

  test("keeps to its bound, and a nonce that had to go is stale, not fresh", () => {
    const memory = createReplayMemory(3, startMs);
    const nowMs = startMs + minuteMs;
    for (const [index, nonce] of ["a", "b", "c"].entries()) {
      expect(memory.judge(nonce, startMs + 1000 * index, nowMs)).toBe("fresh");
    }
    expect(memory.judge("d", nowMs, nowMs)).toBe("fresh");
    expect(memory.size).toBe(3);
    expect(memory.judge("a", startMs, nowMs)).toBe("stale");
    expect(memory.judge("b", startMs + 1000, nowMs)).toBe("replayed");
  });

  test("full of the present second refuses the rest of it, and tells the time from which on it takes more", () => {
    const memory = createReplayMemory(2, startMs);
    const nowMs = startMs + 300;
    memory.judge("a", nowMs, nowMs);
    memory.judge("b", nowMs, nowMs);
    expect(memory.judge("c", nowMs, nowMs)).toBe("stale");
    const toldMs = memory.nearestMs(nowMs);
    expect(toldMs).toBe(startMs + 1000);
    expect(memory.judge("c", toldMs, nowMs)).toBe("fresh");
    for (const nonce of ["a", "b"]) expect(memory.judge(nonce, nowMs, nowMs)).toBe("stale");
  });

  test("lets no nonce in twice and never exceeds its bound, whatever comes in whatever order", () => {
    const arrivals = fc.array(
      fc.record({
        nonce: fc.nat(20),
        stampMs: fc.integer({ min: -70_000, max: 70_000 }),
        passMs: fc.oneof(fc.constant(0), fc.nat(500), fc.nat(90_000)),
      }),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(arrivals, fc.integer({ min: 1, max: 8 }), (all, most) => {
        const memory = createReplayMemory(most, startMs);
        const letIn = new Set<string>();
        // A nonce and its stamp belong together: the seal is over both.
        const stamps = new Map<number, number>();
        let nowMs = startMs + minuteMs;
        for (const { nonce, stampMs, passMs } of all) {
          nowMs += passMs;
          const stamp = stamps.get(nonce) ?? nowMs + stampMs;
          stamps.set(nonce, stamp);
          if (memory.judge(String(nonce), stamp, nowMs) === "fresh") {
            expect(letIn).not.toContain(String(nonce));
            letIn.add(String(nonce));
          }
          expect(memory.size).toBeLessThanOrEqual(most);
        }
      }),
    );
  });
});
