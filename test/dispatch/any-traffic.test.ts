// What must hold whatever engines and callers do: amplification in an outage, and nothing left behind by anybody.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { BrokenAnswer } from "../../src/dispatch/relay.ts";
import type { Reply } from "../support/fake-wire.ts";
import type { Engine } from "./scene.ts";
import { events, good, hangs, refused, scene, status, told } from "./scene.ts";

describe("in a total outage", () => {
  for (const [title, reply] of [
    ["refuses", refused],
    ["says 500", status(500)],
    ["says 503", status(503)],
    ["cuts its answers", { chunks: [[1, "{"]], end: "cut" }],
  ] as const satisfies readonly (readonly [string, Reply])[]) {
    test(`where every engine ${title}, 50 requests a second become at most 1.10 times as many attempts`, async () => {
      const engine: Engine = { replies: [reply], slots: 64 };
      const { clock, ask, wireOf, expectPeace } = scene({
        a: engine,
        b: engine,
        s: { ...engine, tier: "silver" },
      });
      const names = ["a", "b", "s"];
      const attempts = (): number => names.reduce((sum, name) => sum + wireOf(name).requests.length, 0);
      // The budget starts full, for the engine that dies alone; what counts is what goes on.
      const [warmUp, counted] = [500, 1500];
      let before = 0;
      for (let request = 0; request < warmUp + counted; request += 1) {
        if (request === warmUp) before = attempts();
        ask();
        await clock.advance(20);
      }
      expect((attempts() - before) / counted).toBeLessThanOrEqual(1.1);
      await clock.advance(3000);
      expectPeace();
    });
  }
});

describe("after any traffic", () => {
  const anyReply: fc.Arbitrary<Reply> = fc.oneof(
    fc.constantFrom<Reply>(hangs, refused, good, status(500), status(503), status(404)),
    fc
      .record({
        failsWith: fc.constantFrom(
          "reset",
          "closed",
          "timeout",
          "malformed",
          "unreachable",
          "too-many-connections",
        ),
        afterMs: fc.nat(400),
        reused: fc.boolean(),
      })
      .map((reply): Reply => reply),
    fc
      .record({
        headers: fc.constantFrom(events, { "content-type": "application/json" }),
        chunks: fc.array(
          fc.tuple(
            fc.nat(600),
            fc.constantFrom("data: {}\n\n", "data: [DONE]\n\n", 'data: {"error":1}\n\n', '{"ok":1}', "{"),
          ),
          { maxLength: 4 },
        ),
        end: fc.constantFrom("clean", "cut", "never"),
        delimited: fc.constantFrom("length", "chunked", "close"),
      })
      .map((reply): Reply => ({ ...reply, chunks: reply.chunks.toSorted(([one], [other]) => one - other) })),
  );
  const anyEngine: fc.Arbitrary<Engine> = fc.record({
    tier: fc.constantFrom("gold", "silver", "bronze"),
    slots: fc.integer({ min: 1, max: 3 }),
    queueLimit: fc.nat(2),
    replies: fc.array(anyReply, { minLength: 1, maxLength: 4 }),
  });
  const anyRequest = fc.record({
    afterMs: fc.nat(100),
    stream: fc.boolean(),
    leftMs: fc.integer({ min: 0, max: 800 }),
    leavesAfterMs: fc.option(fc.nat(500), { nil: undefined }),
    evacuates: fc.boolean(),
  });

  test("each request had one end, by its deadline, and no slot, place, timer, exchange or question is left", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyEngine, { minLength: 1, maxLength: 4 }),
        fc.array(anyRequest, { minLength: 1, maxLength: 8 }),
        fc.nat(),
        async (engines, requests, seed) => {
          const named = Object.fromEntries(engines.map((engine, index) => [`e${index}`, engine]));
          const { clock, ask, evacuation, fleet, ends, wireOf, expectPeace } = scene(named, { seed });
          const all: { asked: ReturnType<typeof ask>; late: boolean }[] = [];
          const readings: Promise<unknown>[] = [];
          for (const { afterMs, stream, leftMs, leavesAfterMs, evacuates } of requests) {
            await clock.advance(afterMs);
            const asked = ask({ stream, deadline: clock.now() + leftMs });
            const each = { asked, late: false };
            all.push(each);
            clock.after(leftMs + 50, () => {
              each.late = asked.done === undefined;
              // Whoever got a stream reads it to its end; the pump of the door does.
              if (asked.done?.kind !== "answer" || asked.done.body instanceof Uint8Array) return;
              const { body } = asked.done;
              const read = async (): Promise<void> => {
                while ((await body.next()) !== null);
              };
              readings.push(read().catch((error: unknown) => expect(error).toBeInstanceOf(BrokenAnswer)));
            });
            if (leavesAfterMs !== undefined) {
              clock.after(leavesAfterMs, () => {
                asked.leave();
                if (asked.done?.kind === "answer" && !(asked.done.body instanceof Uint8Array)) {
                  asked.done.body.cancel("caller");
                }
              });
            }
            if (evacuates) for (const endpoint of fleet.endpoints) evacuation.evacuate(endpoint);
          }
          await clock.advance(3000);
          await Promise.all(readings);
          for (const { asked, late } of all) {
            expect(asked.failed).toBeUndefined();
            expect([late, told(asked.done)]).not.toEqual([late, "pending"]);
            expect(late).toBe(false);
          }
          expectPeace();
          // Each call was accounted for once; a replay on a fresh connection is no call of its own.
          const sent = fleet.endpoints.flatMap(({ spec }) => wireOf(spec.name).requests);
          expect(ends.length).toBe(sent.filter(({ fresh }) => fresh !== true).length);
        },
      ),
      { numRuns: 1000 },
    );
  });
});
