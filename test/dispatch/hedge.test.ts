// A second call beside one that is slow with its first byte: when there is one, who wins, and what becomes of the other.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { seededRandom } from "../../src/base/random.ts";
import type { InferenceRequest } from "../../src/dispatch/inference-request.ts";
import { BrokenAnswer } from "../../src/dispatch/relay.ts";
import type { RetryBudget } from "../../src/dispatch/retry-budget.ts";
import type { Tier } from "../../src/fleet/endpoint.ts";
import type { EndpointState } from "../../src/fleet/endpoint-state.ts";
import type { Balancer } from "../../src/routing/balancers/balancer.ts";
import type { Reply } from "../support/fake-wire.ts";
import type { Engine } from "./scene.ts";
import { events, good, hangs, refused, scene, status, streamed, told } from "./scene.ts";

/** The one that is first by name. */
const byName: Balancer = ([first, ...others]) =>
  others.reduce((best, each) => (each.spec.name < best.spec.name ? each : best), first);

const hedging = (["gold", "silver"] as const).map((tier: Tier) => ({ tier, balance: byName, hedges: true }));

/** One in ten of its answers takes 500 ms instead of 20, as it says of itself. */
function makeLongTailed(endpoint: EndpointState, how: { stream?: boolean; oneToken?: boolean } = {}): void {
  const { stream = true, oneToken = false } = how;
  for (let call = 0; call < 160; call += 1) {
    const firstByteMs = call % 10 === 0 ? 500 : 20;
    endpoint.begin("m", stream, 0, 0);
    const totalMs = firstByteMs;
    endpoint.end({ kind: "ok", model: "m", stream, oneToken, firstByteMs, totalMs }, 0, seededRandom(1));
  }
}

/** What its first byte is waited for. */
const delayMs = 22;
const event = "data: {}\n\n";
const slow = streamed([500, event], [510, "data: [DONE]\n\n"]);
const quick = streamed([20, event], [30, "data: [DONE]\n\n"]);

function hedgeScene(engines: Readonly<Record<string, Engine>>, budget?: RetryBudget) {
  const stage = scene(engines, budget === undefined ? {} : { budget });
  makeLongTailed(stage.endpointOf("a"));
  const ask = (more: Partial<InferenceRequest> = {}) =>
    stage.ask({ stream: true, ladder: hedging, firstByteMs: 2000, ...more });
  /** As the door does. */
  const read = async ({ done }: ReturnType<typeof ask>): Promise<string> => {
    if (done?.kind !== "answer" || done.body instanceof Uint8Array) throw new Error("no stream");
    let text = "";
    for (let part = await done.body.next(); part !== null; part = await done.body.next())
      text += Buffer.from(part).toString();
    return text;
  };
  const asks = () => ["a", "b"].map((name) => stage.wireOf(name).requests.length);
  return { ...stage, ask, read, asks };
}

describe("a stream whose first byte is late at an endpoint with a long tail", () => {
  test("is asked for a second time elsewhere, and whoever answers first has answered it", async () => {
    const { clock, ask, read, hedges, ends, asks, expectPeace } = hedgeScene({
      a: { replies: [slow] },
      b: { replies: [quick] },
    });
    const asked = ask();
    await clock.advance(delayMs - 2);
    expect(asks()).toEqual([1, 0]);
    await clock.advance(4);
    expect(asks()).toEqual([1, 1]);
    await clock.advance(20);
    expect(told(asked.done)).toBe("answer 200 by b because hedge after 2");
    expect(hedges).toEqual(["won"]);
    await clock.advance(10);
    expect(await read(asked)).toEndWith("data: [DONE]\n\n");
    expect(ends.map(({ kind }) => kind)).toEqual(["cancelled", "ok"]);
    expect(asked.done?.journey.tried).toMatchObject([
      { endpoint: "a", outcome: "cancelled", because: "local-first" },
    ]);
    expectPeace();
  });

  test("frees the loser's slot in the moment in which the winner answers", async () => {
    const { clock, ask, endpointOf, wireOf } = hedgeScene({
      a: { replies: [slow] },
      b: { replies: [quick] },
    });
    const asked = ask();
    while (asked.done === undefined) await clock.advance(1);
    expect([endpointOf("a").inflight, wireOf("a").open()]).toEqual([0, 0]);
    expect([endpointOf("b").inflight, wireOf("b").open()]).toEqual([1, 1]);
  });

  test("is answered by the first where that comes first after all, and the log shows both", async () => {
    const { clock, ask, read, hedges, expectPeace } = hedgeScene({
      a: { replies: [streamed([30, event], [40, "data: [DONE]\n\n"])] },
      b: { replies: [quick] },
    });
    const asked = ask();
    await clock.advance(40);
    expect(told(asked.done)).toBe("answer 200 by a because local-first after 2");
    expect(hedges).toEqual(["lost"]);
    expect(asked.done?.journey).toMatchObject({
      hedge: "lost",
      tried: [{ endpoint: "b", outcome: "cancelled", because: "hedge" }],
    });
    await read(asked);
    expectPeace();
  });

  test("has no hedge when it answers in time", async () => {
    const { clock, ask, read, hedges, asks, expectPeace } = hedgeScene({
      a: { replies: [quick] },
      b: { replies: [quick] },
    });
    const asked = ask();
    await clock.advance(600);
    expect(told(asked.done)).toBe("answer 200 by a because local-first after 1");
    await read(asked);
    expect([asks(), hedges]).toEqual([[1, 0], []]);
    expectPeace();
  });

  test("opens no breaker and bars nobody, however often it loses", async () => {
    const { clock, ask, read, moves, endpointOf, hedges } = hedgeScene(
      { a: { replies: [slow] }, b: { replies: [quick] } },
      { earn: () => undefined, covers: () => true, spend: () => true, spendOnHedge: () => true },
    );
    for (let turn = 0; turn < 12; turn += 1) {
      const asked = ask();
      await clock.advance(60);
      await read(asked);
    }
    expect(hedges.length).toBe(12);
    expect(moves).toEqual([]);
    expect(endpointOf("a").breakerState(clock.now())).toBe("closed");
  });

  test("makes the loser look slow and pressed, although it never finished", async () => {
    const { clock, ask, read, endpointOf } = hedgeScene({ a: { replies: [slow] }, b: { replies: [quick] } });
    const a = endpointOf("a");
    const before = a.recentFirstByteMs(clock.now()) ?? 0;
    await clock.advance(11_000);
    for (let turn = 0; turn < 6; turn += 1) {
      const asked = ask();
      await clock.advance(60);
      await read(asked);
    }
    expect(a.recentFirstByteMs(clock.now())).toBeGreaterThan(1.5 * before);
    expect(a.pressure(clock.now())).toBeGreaterThan(0.2);
    expect(endpointOf("b").pressure(clock.now())).toBe(0);
  });

  test("is doubled once, however long both take", async () => {
    const { clock, ask, asks, wireOf, hedges, endpointOf, expectPeace } = hedgeScene({
      a: { replies: [hangs] },
      b: { replies: [hangs] },
      c: { replies: [hangs] },
    });
    makeLongTailed(endpointOf("b"));
    const asked = ask({ firstByteMs: 1000, deadline: clock.now() + 400 });
    await clock.advance(399);
    expect([...asks(), wireOf("c").requests.length]).toEqual([1, 1, 0]);
    await clock.advance(10);
    expect(told(asked.done)).toBe("refusal deadline_exceeded");
    expect(hedges).toEqual(["lost"]);
    expectPeace();
  });

  test("goes on with the hedge where the first fails meanwhile, and that costs nothing more", async () => {
    let spent = 0;
    const spend = (): boolean => {
      spent += 1;
      return true;
    };
    const { clock, ask, hedges, expectPeace, read } = hedgeScene(
      { a: { replies: [{ failsWith: "reset", afterMs: 30 }] }, b: { replies: [quick] } },
      { earn: () => undefined, covers: () => true, spend, spendOnHedge: spend },
    );
    const asked = ask();
    await clock.advance(60);
    expect(told(asked.done)).toBe("answer 200 by b because hedge after 2");
    expect(asked.done?.journey.tried).toMatchObject([{ endpoint: "a", outcome: "reset" }]);
    expect([hedges, spent]).toEqual([["won"], 1]);
    await read(asked);
    expectPeace();
  });

  test("goes on with the first where the hedge fails", async () => {
    const { clock, ask, hedges, expectPeace, read } = hedgeScene({
      a: { replies: [streamed([60, event], [70, "data: [DONE]\n\n"])] },
      b: { replies: [refused] },
    });
    const asked = ask();
    await clock.advance(80);
    expect(told(asked.done)).toBe("answer 200 by a because local-first after 2");
    expect(asked.done?.journey.tried).toMatchObject([
      { endpoint: "b", outcome: "refused", because: "hedge" },
    ]);
    expect(hedges).toEqual(["lost"]);
    await read(asked);
    expectPeace();
  });

  test("is tried once more where both fail, for that is the third attempt", async () => {
    const { clock, ask, read, expectPeace } = hedgeScene({
      a: { replies: [{ failsWith: "reset", afterMs: 30 }] },
      b: { replies: [refused] },
      c: { replies: [quick] },
    });
    const asked = ask();
    await clock.advance(80);
    expect(told(asked.done)).toBe("answer 200 by c because retry-after-reset after 3");
    await read(asked);
    expectPeace();
  });

  test("has both cancelled when its caller leaves", async () => {
    const { clock, ask, wireOf, ends, hedges, expectPeace } = hedgeScene({
      a: { replies: [hangs] },
      b: { replies: [hangs] },
    });
    const asked = ask();
    await clock.advance(30);
    expect([wireOf("a").open(), wireOf("b").open()]).toEqual([1, 1]);
    asked.leave();
    await clock.advance(0);
    expect(told(asked.done)).toBe("gone");
    expect(ends.map(({ kind }) => kind)).toEqual(["cancelled", "cancelled"]);
    expect(hedges).toEqual(["lost"]);
    await clock.advance(2000);
    expectPeace();
  });

  test("leaves a silent endpoint for the hedge that is under way, and asks nobody else", async () => {
    const { clock, ask, asks, evacuation, endpointOf, wireOf, expectPeace, read } = hedgeScene({
      a: { replies: [hangs] },
      b: { replies: [streamed([100, event], [110, "data: [DONE]\n\n"])] },
      c: { replies: [quick] },
    });
    const asked = ask();
    await clock.advance(30);
    evacuation.evacuate(endpointOf("a"));
    await clock.advance(1);
    expect([wireOf("a").open(), endpointOf("a").inflight]).toEqual([0, 0]);
    await clock.advance(120);
    expect(told(asked.done)).toBe("answer 200 by b because hedge after 2");
    expect([...asks(), wireOf("c").requests.length]).toEqual([1, 1, 0]);
    await read(asked);
    expectPeace();
  });

  test("leaves a hedge that fell silent and goes on with the first", async () => {
    const { clock, ask, evacuation, endpointOf, read, expectPeace } = hedgeScene({
      a: { replies: [slow] },
      b: { replies: [hangs] },
    });
    const asked = ask();
    await clock.advance(30);
    evacuation.evacuate(endpointOf("b"));
    await clock.advance(500);
    expect(told(asked.done)).toBe("answer 200 by a because local-first after 2");
    await read(asked);
    expectPeace();
  });

  test("leaves both endpoints where they fall silent in one moment, and either may be left again", async () => {
    const { clock, ask, evacuation, endpointOf, wireOf, expectPeace, read } = hedgeScene({
      a: { replies: [hangs] },
      b: { replies: [hangs, quick] },
      c: { replies: [hangs, quick] },
    });
    const asked = ask();
    await clock.advance(30);
    for (const name of ["a", "b"]) evacuation.evacuate(endpointOf(name));
    await clock.advance(5);
    expect([asked.done?.journey.tried.length, wireOf("c").requests.length]).toEqual([undefined, 1]);
    evacuation.evacuate(endpointOf("c"));
    await clock.advance(5);
    // The third is its last.
    expect(told(asked.done)).toBe("pending");
    asked.leave();
    await clock.advance(5);
    const next = ask();
    await clock.advance(5);
    expect(wireOf("a").requests.length).toBe(2);
    evacuation.evacuate(endpointOf("a"));
    await clock.advance(1);
    expect(wireOf("a").open()).toBe(0);
    await clock.advance(50);
    expect(told(next.done)).toStartWith("answer 200 by b");
    await read(next);
    expectPeace();
  });

  test("has no hedge where its session holds its share already", async () => {
    const hedgesOf = async (session: string): Promise<number> => {
      const { clock, ask, endpointOf, hedges } = hedgeScene({
        a: { replies: [slow] },
        b: { replies: [quick] },
      });
      for (let turn = 0; turn < 2; turn += 1)
        endpointOf("b").begin("m", true, turn, clock.now(), { flow: { session: "many" } });
      endpointOf("b").missedBy({ session: "other" }, clock.now());
      const asked = ask({ session, model: "model-of-a" });
      endpointOf("b").setModels(["model-of-a"]);
      await clock.advance(60);
      expect(asked.failed).toBeUndefined();
      return hedges.length;
    };
    expect([await hedgesOf("many"), await hedgesOf("third")]).toEqual([0, 1]);
  });

  test("has its hedge at a third endpoint where its caller, or what has spilled, holds its share of the second", async () => {
    for (const [holds, more] of [
      [{ flow: { caller: "many" } }, { caller: "many" }],
      [{ flow: {}, spilled: true }, { spilled: true }],
      // Gold is not the first rung of its ladder, only the first with room.
      [
        { flow: {}, spilled: true },
        { sla: "interactive", ladder: hedging.toReversed() },
      ],
    ] as const) {
      const { clock, ask, endpointOf, asks, wireOf, hedges } = hedgeScene({
        a: { replies: [slow] },
        b: { slots: 2, replies: [quick] },
        c: { replies: [quick] },
      });
      endpointOf("b").begin("m", true, 0, clock.now(), holds);
      endpointOf("b").missedBy({ caller: "other" }, clock.now());
      ask(more);
      await clock.advance(60);
      expect([...asks(), wireOf("c").requests.length]).toEqual([1, 0, 1]);
      expect(hedges).toEqual(["won"]);
    }
  });

  test("is not asked for twice at once where one more death would be one too many", async () => {
    const { clock, ask, asks, quarantine, expectPeace } = hedgeScene({
      a: { replies: [{ failsWith: "reset", afterMs: 50 }] },
      b: { replies: [{ failsWith: "reset", afterMs: 50 }] },
    });
    const one = ask();
    await clock.advance(1000);
    expect([told(one.done), asks()]).toEqual(["refusal upstream_failed", [1, 1]]);
    for (const name of ["a", "b"]) quarantine.gone(name, clock.now());
    const two = ask();
    await clock.advance(1000);
    expect(two.done?.kind).toBe("refusal");
    expect(asks().reduce((sum, each) => sum + each)).toBe(3);
    expectPeace();
  });

  test("drops the answer that came in the same moment as the one that was taken", async () => {
    const { clock, ask, read, ends, endpointOf, expectPeace } = hedgeScene({
      a: { replies: [streamed([delayMs + 20, event], [200, "data: [DONE]\n\n"])] },
      b: { replies: [streamed([20, event], [200, "data: [DONE]\n\n"])] },
    });
    const asked = ask();
    await clock.advance(60);
    expect(asked.done?.kind).toBe("answer");
    expect(endpointOf("a").inflight + endpointOf("b").inflight).toBe(1);
    await clock.advance(200);
    await read(asked);
    expect(ends.map(({ kind }) => kind).toSorted()).toEqual(["cancelled", "ok"]);
    expectPeace();
  });
});

describe("there is no hedge", () => {
  const others = { b: { replies: [quick] } } satisfies Record<string, Engine>;
  const cases: [title: string, more: Partial<InferenceRequest>, others?: Readonly<Record<string, Engine>>][] =
    [
      [
        "where the tier's configuration says so",
        { ladder: hedging.map((rung) => ({ ...rung, hedges: false })) },
      ],
      ["for a whole answer, whose length is the caller's choice", { stream: false }],
      ["for async work", { sla: "async" }],
      ["for work that yields to everybody", { pressureBelow: 0.5 }],
      ["for what a peer has forwarded", { only: "a" }],
      ["where there is no other endpoint", {}, {}],
      ["in another tier, where another model would speak", {}, { b: { tier: "silver", replies: [quick] } }],
    ];
  for (const [title, more, besides = others] of cases) {
    test(title, async () => {
      const { clock, ask, wireOf, endpointOf, hedges } = hedgeScene({ a: { replies: [slow] }, ...besides });
      if (more.stream === false) makeLongTailed(endpointOf("a"), { stream: false });
      ask(more);
      await clock.advance(3 * delayMs);
      expect(["a", ...Object.keys(besides)].map((name) => wireOf(name).requests.length)).toEqual([
        1,
        ...Object.keys(besides).map(() => 0),
      ]);
      expect(hedges).toEqual([]);
    });
  }

  test("where too little time is left for a second call", async () => {
    const { clock, ask, asks, hedges } = hedgeScene({ a: { replies: [slow] }, ...others });
    ask({ deadline: clock.now() + 2 * delayMs - 4 });
    await clock.advance(3 * delayMs);
    expect([asks(), hedges]).toEqual([[1, 0], []]);
  });

  test("where the budget has no token for it", async () => {
    const { clock, ask, asks, hedges } = hedgeScene(
      { a: { replies: [slow] }, ...others },
      { earn: () => undefined, covers: () => true, spend: () => true, spendOnHedge: () => false },
    );
    ask();
    await clock.advance(3 * delayMs);
    expect([asks(), hedges]).toEqual([[1, 0], []]);
  });

  test("for a caller whose host drains, where only peers would do", async () => {
    const { clock, ask, asks } = hedgeScene({ a: { replies: [slow] }, b: { replies: [quick] } });
    const asked = ask({ elsewhere: true });
    await clock.advance(60);
    expect([told(asked.done), asks()]).toEqual(["refusal draining", [0, 0]]);
  });

  for (const [title, inflight] of [
    ["while the others are full", 4],
    ["while three quarters of the others' slots are taken: those are for whoever comes", 3],
  ] as const) {
    test(title, async () => {
      const { clock, ask, asks, endpointOf, hedges } = hedgeScene({
        a: { replies: [slow] },
        b: { replies: [quick] },
      });
      for (let call = 0; call < inflight; call += 1) endpointOf("b").begin("m", true, 0, clock.now());
      ask();
      await clock.advance(60);
      expect([asks(), hedges]).toEqual([[1, 0], []]);
    });
  }

  test("while somebody waits for a slot there", async () => {
    const { clock, ask, asks, endpointOf } = hedgeScene({ a: { replies: [slow] }, b: { replies: [quick] } });
    endpointOf("b").enterRoom({}, Number.POSITIVE_INFINITY, clock.now());
    ask();
    await clock.advance(60);
    expect(asks()).toEqual([1, 0]);
  });

  test("at an endpoint whose answers have no tail", async () => {
    const { clock, wireOf, ask } = scene({ a: { replies: [slow] }, b: { replies: [quick] } });
    ask({ stream: true, ladder: hedging });
    await clock.advance(200);
    expect([wireOf("a").requests.length, wireOf("b").requests.length]).toEqual([1, 0]);
  });
});

describe("a question for one token", () => {
  const slowWhole: Reply = { chunks: [[500, '{"ok":true}']] };
  const question = { stream: false, oneToken: true, share: 1 } as const;

  test("has a hedge like a stream, by the times of its own sort", async () => {
    const { clock, ask, hedges, endpointOf, expectPeace } = hedgeScene({
      a: { replies: [slowWhole] },
      b: { replies: [good] },
    });
    makeLongTailed(endpointOf("a"), { stream: false, oneToken: true });
    const asked = ask(question);
    await clock.advance(60);
    expect(told(asked.done)).toBe("answer 200 by b because hedge after 2");
    expect(hedges).toEqual(["won"]);
    expectPeace();
  });

  test("has none by the times of streams", async () => {
    const { clock, ask, asks } = hedgeScene({ a: { replies: [slowWhole] }, b: { replies: [good] } });
    ask(question);
    await clock.advance(60);
    expect(asks()).toEqual([1, 0]);
  });
});

describe("after any traffic with hedges", () => {
  const anyReply: fc.Arbitrary<Reply> = fc.oneof(
    fc.constantFrom<Reply>(hangs, refused, good, quick, slow, status(500), status(503), status(400)),
    fc
      .record({
        failsWith: fc.constantFrom("reset", "closed", "timeout"),
        afterMs: fc.nat(100),
        reused: fc.boolean(),
      })
      .map((reply): Reply => reply),
    fc.tuple(fc.nat(90), fc.nat(60), fc.constantFrom("clean", "cut", "never")).map(
      ([first, more, end]): Reply => ({
        headers: events,
        chunks: [
          [first, event],
          [first + more, "data: [DONE]\n\n"],
        ],
        end,
      }),
    ),
  );
  const anyEngine: fc.Arbitrary<Engine> = fc.record({
    slots: fc.integer({ min: 1, max: 4 }),
    queueLimit: fc.nat(2),
    replies: fc.array(anyReply, { minLength: 1, maxLength: 4 }),
  });
  const anyRequest = fc.record({
    afterMs: fc.nat(40),
    leftMs: fc.integer({ min: 40, max: 800 }),
    leavesAfterMs: fc.option(fc.nat(200), { nil: undefined }),
    evacuates: fc.boolean(),
  });

  test("no request had two hedges, the budget was kept, and no slot, place, timer, exchange or question is left", async () => {
    let hedged = 0;
    await fc.assert(
      fc.asyncProperty(
        fc.array(anyEngine, { minLength: 2, maxLength: 4 }),
        fc.array(anyRequest, { minLength: 1, maxLength: 8 }),
        fc.nat(6),
        async (engines, requests, tokens) => {
          let left = tokens;
          let hedgesPaid = 0;
          const pay = (): boolean => {
            if (left < 1) return false;
            left -= 1;
            return true;
          };
          const budget: RetryBudget = {
            earn: () => undefined,
            covers: () => left >= 1,
            spend: pay,
            spendOnHedge() {
              if (!pay()) return false;
              hedgesPaid += 1;
              return true;
            },
          };
          const named = Object.fromEntries(engines.map((engine, index) => [`e${index}`, engine]));
          const stage = scene(named, { budget });
          const { clock, fleet, evacuation, hedges, ends, wireOf, expectPeace } = stage;
          for (const endpoint of fleet.local) makeLongTailed(endpoint);
          const all: ReturnType<typeof stage.ask>[] = [];
          const readings: Promise<void>[] = [];
          for (const { afterMs, leftMs, leavesAfterMs, evacuates } of requests) {
            await clock.advance(afterMs);
            const asked = stage.ask({ stream: true, ladder: hedging, deadline: clock.now() + leftMs });
            all.push(asked);
            clock.after(leftMs + 50, () => {
              if (asked.done?.kind !== "answer" || asked.done.body instanceof Uint8Array) return;
              const { body } = asked.done;
              const read = async (): Promise<void> => {
                while ((await body.next()) !== null);
              };
              readings.push(read().catch((error: unknown) => expect(error).toBeInstanceOf(BrokenAnswer)));
            });
            if (leavesAfterMs !== undefined)
              clock.after(leavesAfterMs, () => {
                asked.leave();
                if (asked.done?.kind === "answer" && !(asked.done.body instanceof Uint8Array))
                  asked.done.body.cancel("caller");
              });
            if (evacuates) for (const endpoint of fleet.endpoints) evacuation.evacuate(endpoint);
          }
          await clock.advance(3000);
          await Promise.all(readings);
          for (const { done, failed } of all) {
            expect(failed).toBeUndefined();
            expect(told(done)).not.toBe("pending");
            const tried = done?.journey.tried ?? [];
            const isHedged = done?.journey.hedge !== undefined;
            const asHedge = tried.filter(({ because }) => because === "hedge").length;
            expect(asHedge).toBeLessThanOrEqual(isHedged ? 1 : 0);
          }
          expect(hedges.length).toBe(hedgesPaid);
          expect(all.filter(({ done }) => done?.journey.hedge !== undefined).length).toBe(hedgesPaid);
          hedged += hedgesPaid;
          expectPeace();
          const sent = fleet.endpoints.flatMap(({ spec }) => wireOf(spec.name).requests);
          expect(ends.length).toBe(sent.filter(({ fresh }) => fresh !== true).length);
        },
      ),
      { numRuns: 1000 },
    );
    expect(hedged).toBeGreaterThan(200);
  });
});
