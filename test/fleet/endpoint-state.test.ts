// One endpoint over its life, by what it is told at virtual instants.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { seededRandom } from "../../src/base/random.ts";
import type { EndpointSpec } from "../../src/fleet/endpoint.ts";
import type { EndpointState } from "../../src/fleet/endpoint-state.ts";
import { createEndpointState } from "../../src/fleet/endpoint-state.ts";
import type { Holds } from "../../src/fleet/flows.ts";
import { breakersMost } from "../../src/fleet/model-breakers.ts";
import type { Outcome, OutcomeKind } from "../../src/fleet/outcome.ts";
import { outcomes } from "../../src/fleet/outcome.ts";

const start = 1_000_000;
const spec: EndpointSpec = { name: "gold-1/vllm", tier: "gold", locality: "local", slots: 4, queueLimit: 2 };
const random = (): number => 0.5;
const kinds = Object.keys(outcomes) as OutcomeKind[];

const endpoint = (): EndpointState => createEndpointState(spec, ["m"]);

/** One call that begins and ends at that time. */
function call(state: EndpointState, kind: OutcomeKind, now: number, more: Partial<Outcome> = {}) {
  const outcome: Outcome = { kind, model: "m", stream: true, totalMs: 10, ...more };
  state.begin(outcome.model, outcome.stream, 0, now);
  return state.end(outcome, now, random);
}

describe("what keeps an endpoint from taking more and is over by itself", () => {
  const admitsAfterMs = (state: EndpointState, atMs: number): number | undefined => {
    const at = state.admitsAt(start + atMs);
    return at === undefined ? undefined : at - start;
  };

  test("is nothing at first", () => {
    expect(endpoint().admitsAt(start)).toBeUndefined();
  });

  test("is its bar, the time that it asked for, and the one who goes first after it", () => {
    const state = endpoint();
    call(state, "refused", start);
    call(state, "busy", start, { retryAfterMs: 500 });
    expect([0, 299, 300, 499, 500].map((ms) => admitsAfterMs(state, ms))).toEqual([
      300,
      300,
      500,
      500,
      undefined,
    ]);
    state.begin("m", true, 0, start + 600);
    expect([600, 699, 700].map((ms) => admitsAfterMs(state, ms))).toEqual([700, 700, undefined]);
  });

  test("is each breaker that is open, or whose test call is not over", () => {
    const state = endpoint();
    for (const [model, atMs] of [
      ["one", 0],
      ["two", 400],
    ] as const)
      for (let failure = 0; failure < 3; failure += 1) call(state, "timeout", start + atMs, { model });
    expect([0, 999, 1000, 1399, 1400].map((ms) => admitsAfterMs(state, ms))).toEqual([
      1000,
      1000,
      1400,
      1400,
      undefined,
    ]);
    state.begin("one", true, 0, start + 1500);
    expect([1500, 2499, 2500].map((ms) => admitsAfterMs(state, ms))).toEqual([2500, 2500, undefined]);
  });

  test("is over by then, whatever happened before", () => {
    const anyCall = fc.record({
      kind: fc.constantFrom(...kinds),
      model: fc.constantFrom("m", "n"),
      afterMs: fc.nat(2000),
      retryAfterMs: fc.option(fc.nat(2000), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(anyCall, { maxLength: 30 }), (calls) => {
        const state = endpoint();
        let now = start;
        const admits = (at: number): boolean =>
          !state.barred(at) &&
          !state.pushedBack(at) &&
          ["m", "n"].every((each) => state.breakerAdmits(each, at));
        for (const { afterMs, kind, ...more } of calls) {
          now += afterMs;
          call(state, kind, now, more);
          const admitsAt = state.admitsAt(now);
          expect(admitsAt === undefined).toBe(admits(now));
          for (let at: number | undefined = admitsAt; at !== undefined; at = state.admitsAt(at))
            expect(admits(at - 0.5)).toBe(false);
        }
      }),
    );
  });
});

describe("an endpoint's bar", () => {
  for (const kind of ["refused", "reset", "unreachable"] as const) {
    test(`lasts 300 ms after ${kind}`, () => {
      const state = endpoint();
      call(state, kind, start);
      expect(state.barred(start + 299)).toBe(true);
      expect(state.barred(start + 300)).toBe(false);
    });
  }

  test("comes from nothing else", () => {
    for (const kind of kinds.filter((each) => !["refused", "reset", "unreachable"].includes(each))) {
      const state = endpoint();
      call(state, kind, start);
      expect([kind, state.barred(start)]).toEqual([kind, false]);
    }
  });

  test("is lifted when a failed health check is followed by a good one", () => {
    const state = endpoint();
    state.setHealth("unhealthy", start);
    call(state, "refused", start);
    state.setHealth("ok", start + 1);
    expect(state.barred(start + 1)).toBe(false);
  });
});

describe("an endpoint that says it is full", () => {
  const leftAloneMs = (state: EndpointState, now: number): number => {
    let ms = 0;
    while (state.pushedBack(now + ms)) ms += 1;
    return ms;
  };

  test("is left alone for 100 ms, twice as long each time, a second at most", () => {
    const state = endpoint();
    const waits = [0, 1, 2, 3, 4, 5, 20].map((turn) => {
      const now = start + turn * 10_000;
      call(state, "busy", now);
      return leftAloneMs(state, now);
    });
    expect(waits).toEqual([100, 200, 400, 800, 1000, 1000, 1000]);
  });

  test("gets the time it asked for, a second at most, because a queue moves in milliseconds", () => {
    for (const [asked, given] of [
      [30, 100],
      [500, 500],
      [60_000, 1000],
    ] as const) {
      const state = endpoint();
      call(state, "busy", start, { retryAfterMs: asked });
      expect([asked, leftAloneMs(state, start)]).toEqual([asked, given]);
    }
  });

  test("starts from 100 ms again after an answer", () => {
    const state = endpoint();
    for (let turn = 0; turn < 5; turn += 1) call(state, "busy", start + turn);
    call(state, "ok", start + 5000);
    call(state, "busy", start + 6000);
    expect(leftAloneMs(state, start + 6000)).toBe(100);
  });

  test("is not broken: no breaker opens, however often it says so", () => {
    const state = endpoint();
    for (let turn = 0; turn < 100; turn += 1) call(state, "busy", start + turn);
    expect(state.breakerState(start + 100)).toBe("closed");
  });
});

describe("an endpoint's pressure", () => {
  test("is what it holds by what it can hold, the waiting included", () => {
    const state = endpoint();
    expect(state.pressure(start)).toBe(0);
    state.begin("m", false, 1, start);
    state.begin("m", false, 2, start);
    state.enterRoom({}, Number.POSITIVE_INFINITY, start);
    expect(state.pressure(start)).toBe(0.75);
  });

  test("heeds the engine's own figures for three seconds, and never thinks it idle because of them", () => {
    const state = endpoint();
    state.setGauges({ running: 2, waiting: 1, kvUsage: 0.1 }, start);
    expect(state.pressure(start + 3000)).toBe(0.75);
    expect(state.pressure(start + 3001)).toBe(0);
    for (let turn = 0; turn < 4; turn += 1) state.begin("m", false, turn, start);
    state.setGauges({ running: 0, waiting: 0, kvUsage: 0 }, start);
    expect(state.pressure(start)).toBe(1);
  });

  test("is that of the KV cache where that is the fullest, and of nothing where nothing is said", () => {
    const state = endpoint();
    state.setGauges({ kvUsage: 0.9 }, start);
    expect(state.pressure(start)).toBe(0.9);
    state.setGauges({}, start);
    expect(state.pressure(start)).toBe(0);
  });

  test("shows a fast-failing endpoint as pressed while it fails, and forgets within half a minute", () => {
    const state = endpoint();
    for (let turn = 0; turn < 20; turn += 1) call(state, "server-error", start + turn);
    expect(state.pressure(start + 20)).toBeGreaterThan(0.8);
    expect(state.pressure(start + 30_000)).toBeLessThan(0.01);
  });

  test("is not eased by a call that was moved away from a silent endpoint", () => {
    const state = endpoint();
    for (let turn = 0; turn < 20; turn += 1) call(state, "server-error", start);
    const before = state.pressure(start);
    for (let turn = 0; turn < 20; turn += 1) call(state, "silent", start);
    expect(state.pressure(start)).toBe(before);
  });

  test("is not raised by callers' mistakes, leaving and deadlines", () => {
    const state = endpoint();
    for (const kind of ["client-error", "cancelled", "deadline"] as const) call(state, kind, start);
    expect(state.pressure(start)).toBe(0);
  });

  test("is ten times as high just after coming back, and ordinary half a minute later", () => {
    const state = endpoint();
    state.setHealth("unhealthy", start);
    state.setHealth("ok", start);
    state.begin("m", false, 1, start);
    expect(state.pressure(start)).toBeCloseTo(2.5);
    expect(state.pressure(start + 30_000)).toBe(0.25);
  });

  test("has no slow start at the process's start: the first good health check is no comeback", () => {
    const state = endpoint();
    state.setHealth("ok", start);
    state.begin("m", false, 1, start);
    expect(state.pressure(start)).toBe(0.25);
  });
});

describe("an endpoint's breakers", () => {
  const broken = (model: string): EndpointState => {
    const state = endpoint();
    for (let turn = 0; turn < 3; turn += 1) call(state, "timeout", start, { model });
    return state;
  };

  test("are kept by model: one that fails does not stop another", () => {
    const state = broken("a");
    expect(state.breakerAdmits("a", start)).toBe(false);
    expect(state.breakerAdmits("b", start)).toBe(true);
  });

  test("show the worst of the models", () => {
    const state = broken("a");
    call(state, "ok", start, { model: "b" });
    expect(state.breakerState(start)).toBe("open");
    expect(state.breakerState(start + 1000)).toBe("half-open");
  });

  test("tell of the change, and a closed one is back with a slow start", () => {
    const state = broken("a");
    expect(call(state, "ok", start + 1000, { model: "a" })).toBe("closed");
    expect(state.breakerState(start + 1000)).toBe("closed");
    state.begin("a", false, 1, start + 1000);
    expect(state.pressure(start + 1000)).toBeGreaterThan(2.4);
  });

  test("of two that are open, the one that closes leaves the other open", () => {
    const state = broken("a");
    for (let turn = 0; turn < 3; turn += 1) call(state, "timeout", start + 500, { model: "b" });
    expect(call(state, "ok", start + 1000, { model: "a" })).toBe("closed");
    expect(state.breakerAdmits("a", start + 1000)).toBe(true);
    expect(state.breakerAdmits("b", start + 1000)).toBe(false);
    expect(state.breakerState(start + 1000)).toBe("open");
  });

  test("are invited by an answered question, all of them", () => {
    const state = broken("a");
    for (let turn = 0; turn < 3; turn += 1) call(state, "timeout", start, { model: "b" });
    state.answeredAgain(start + 1);
    expect(state.breakerAdmits("a", start + 1)).toBe(true);
    expect(state.breakerAdmits("b", start + 1)).toBe(true);
  });

  test("are at most 64: models beyond that share one, and it refuses them", () => {
    const state = endpoint();
    for (let name = 0; name < 10 * breakersMost; name += 1) {
      call(state, "ok", start, { model: `model-${name}` });
    }
    for (let turn = 0; turn < 3; turn += 1) call(state, "timeout", start, { model: `late-${turn}` });
    expect(state.breakerAdmits("late-0", start)).toBe(false);
    expect(state.breakerAdmits("never-seen", start)).toBe(false);
    expect(state.breakerAdmits("model-0", start)).toBe(true);
    expect(state.breakerAdmits("model-62", start)).toBe(true);
    expect(state.breakerAdmits("model-63", start)).toBe(false);
  });
});

describe("an endpoint's models", () => {
  test("are what the operator pinned, whatever the engine lists", () => {
    const state = endpoint();
    state.setModels(["n"]);
    expect(state.models).toEqual(["m"]);
  });

  test("are unknown until the engine lists them where nothing is pinned", () => {
    const state = createEndpointState(spec, undefined);
    expect(state.models).toBeUndefined();
    state.setModels(["n"]);
    expect(state.models).toEqual(["n"]);
  });

  test("are the engine's own again when a reload takes the pin away", () => {
    const state = endpoint();
    state.setModels(["n"]);
    state.reconfigure(spec, undefined);
    expect(state.models).toEqual(["n"]);
  });

  test("are unknown when a reload takes the pin away before the engine has spoken", () => {
    const state = endpoint();
    state.reconfigure(spec, undefined);
    expect(state.models).toBeUndefined();
  });
});

describe("an endpoint's silence", () => {
  test("is asked about after a caller left without a byte, and not after one who had some", () => {
    const limitMs = 250;
    const left = endpoint();
    call(left, "cancelled", start);
    expect(left.silence.due(limitMs, start)).toBe(true);
    const late = endpoint();
    call(late, "deadline", start);
    expect(late.silence.due(limitMs, start)).toBe(true);
    const fed = endpoint();
    call(fed, "cancelled", start, { firstByteMs: 5 });
    expect(fed.silence.due(limitMs, start)).toBe(false);
  });

  test("is not asked about when nothing is in flight, even after it was heard of late", () => {
    const state = endpoint();
    call(state, "ok", start, { firstByteMs: 5 });
    state.heard(start + 1);
    state.answeredAgain(start + 2);
    expect(state.silence.due(state.quietLimitMs(), start + 60_000)).toBe(false);
  });

  test("ends with a byte, and the endpoint is back with a slow start", () => {
    const state = endpoint();
    state.begin("m", false, 1, start);
    state.silence.looking(start + 250);
    expect(state.silence.looked(false, start + 500)).toBe(true);
    expect(state.silent).toBe(true);
    state.heard(start + 600);
    expect(state.silent).toBe(false);
    expect(state.pressure(start + 600)).toBeCloseTo(2.5);
  });

  test("is judged by like requests: by streams where one is in flight, else by whole answers", () => {
    const state = endpoint();
    for (let turn = 0; turn < 10; turn += 1) {
      call(state, "ok", start, { firstByteMs: 50 });
      call(state, "ok", start, { firstByteMs: 5000, stream: false });
    }
    state.begin("m", false, 1, start);
    expect(state.quietLimitMs()).toBeGreaterThan(14_999);
    state.begin("m", true, 2, start);
    expect(state.quietLimitMs()).toBeGreaterThan(149);
    expect(state.quietLimitMs()).toBeLessThan(200);
  });
});

test("how long one more would wait is the holding time by the slots, and unknown at first", () => {
  const state = endpoint();
  expect(state.expectedWaitMs()).toBeUndefined();
  call(state, "ok", start, { firstByteMs: 5, totalMs: 400 });
  expect(state.expectedWaitMs()).toBe(100);
  state.enterRoom({}, Number.POSITIVE_INFINITY, start);
  expect(state.expectedWaitMs()).toBe(200);
});

test("how long one more would wait counts those who go before it: by deadline, at home before spilled, and an even part first", () => {
  const state = endpoint();
  call(state, "ok", start, { firstByteMs: 5, totalMs: 400 });
  const ofCaller = (caller: string) => ({ flow: { caller } });
  for (let turn = 0; turn < 4; turn += 1) state.enterRoom(ofCaller("a"), start + 9000, start);
  const waitMs = (holds: Holds, deadline: number) => state.expectedWaitMs(holds, deadline, start);
  expect(state.expectedWaitMs()).toBe(500);
  expect([waitMs(ofCaller("a"), start + 9000), waitMs(ofCaller("a"), start + 8000)]).toEqual([500, 100]);
  expect([waitMs({ shares: true }, start + 9000), waitMs({ shares: true }, start + 8000)]).toEqual([
    500, 100,
  ]);
  expect(waitMs({ ...ofCaller("a"), spilled: true }, start + 8000)).toBe(500);
  // However urgent, who holds more than an even part goes behind those who do not.
  for (let turn = 0; turn < 3; turn += 1) state.begin("m", true, turn, start, ofCaller("b"));
  expect(waitMs(ofCaller("b"), start + 1)).toBe(500);
  // Nobody before it, and where others ask its own go through half of the slots.
  expect(waitMs(ofCaller("c"), start + 1)).toBe(200);
});

test("what is enough for an answer is learned from whole answers of its class, not from questions of no class", () => {
  const state = endpoint();
  for (let turn = 0; turn < 10; turn += 1) {
    call(state, "ok", start, { firstByteMs: 5, totalMs: 300, like: "realtime" });
    call(state, "ok", start, { firstByteMs: 5, totalMs: 9 });
    call(state, "deadline", start, { firstByteMs: 5, totalMs: 9, like: "realtime" });
  }
  expect(state.enoughMs("realtime", true)).toBeGreaterThanOrEqual(300);
  expect(state.enoughMs("realtime", true)).toBeLessThan(361);
  expect(state.enoughMs("interactive", true)).toBeUndefined();
});

test("an endpoint counts those with a share apart, in flight and in its room, and all come back", () => {
  const state = endpoint();
  state.begin("m", false, 1, start);
  state.enterRoom({}, Number.POSITIVE_INFINITY, start);
  expect(state.sharing).toBe(0);
  state.begin("m", false, 2, start, { shares: true });
  state.enterRoom({ shares: true }, Number.POSITIVE_INFINITY, start);
  expect([state.inflight, state.waiting, state.sharing]).toEqual([2, 2, 2]);
  state.leaveRoom({ shares: true }, Number.POSITIVE_INFINITY);
  state.leaveRoom({}, Number.POSITIVE_INFINITY);
  expect(state.sharing).toBe(1);
  state.end({ kind: "ok", model: "m", stream: false, totalMs: 1 }, start, random);
  expect(state.sharing).toBe(1);
  state.end({ kind: "refused", model: "m", stream: false, totalMs: 1, shares: true }, start, random);
  expect([state.inflight, state.waiting, state.sharing]).toEqual([0, 0, 0]);
});

test("failures, cuts and leavers leave no mark on the usual first byte", () => {
  const state = endpoint();
  for (const kind of kinds.filter((each) => each !== "ok")) {
    for (let turn = 0; turn < 10; turn += 1) call(state, kind, start, { firstByteMs: 3 });
  }
  expect(state.firstByteMs(true, 0.5)).toBeUndefined();
});

test("whatever happens, what is in flight comes back to 0 and pressure stays a finite number of at least 0", () => {
  const step = fc.record({
    afterMs: fc.nat(2000),
    kind: fc.constantFrom(...kinds),
    firstByteMs: fc.option(fc.nat(1000), { nil: undefined }),
    model: fc.constantFrom("m", "n", ""),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), fc.nat(), (steps, seed) => {
      const state = endpoint();
      const dice = seededRandom(seed);
      let now = start;
      for (const { afterMs, kind, firstByteMs, model } of steps) {
        state.begin(model, false, 0, now);
        now += afterMs;
        state.end({ kind, model, stream: true, firstByteMs, totalMs: afterMs }, now, dice);
        expect(state.pressure(now)).toBeGreaterThanOrEqual(0);
        expect(Number.isFinite(state.pressure(now))).toBe(true);
      }
      expect(state.inflight).toBe(0);
    }),
    { numRuns: 200 },
  );
});

describe("a call that another one of the same request has outrun", () => {
  const calls = (beaten: Outcome["beaten"], kind: OutcomeKind = "cancelled"): EndpointState => {
    const state = endpoint();
    for (let turn = 0; turn < 10; turn += 1) call(state, "ok", start, { firstByteMs: 20 });
    for (let turn = 0; turn < 20; turn += 1) call(state, kind, start, { totalMs: 90, beaten });
    return state;
  };

  test("counts as slow and as trouble, and for no breaker, where it was the first", () => {
    const state = calls("first");
    expect(state.recentFirstByteMs(start)).toBeGreaterThanOrEqual(90);
    expect(state.pressure(start)).toBeGreaterThan(0.5);
    expect([state.breakerState(start), state.barred(start), state.inflight]).toEqual(["closed", false, 0]);
    expect(state.silence.due(1000, start)).toBe(true);
  });

  test("says nothing of its endpoint where it was the hedge", () => {
    const state = calls("hedge");
    expect(state.recentFirstByteMs(start)).toBeLessThan(30);
    expect(state.pressure(start)).toBe(0);
    expect(state.silence.due(1000, start)).toBe(false);
  });

  test("is another thing than a caller who leaves: that is no sign of slowness", () => {
    const state = calls(undefined);
    expect(state.recentFirstByteMs(start)).toBeLessThan(30);
    expect(state.pressure(start)).toBe(0);
  });
});

describe("an engine that queues what it is given", () => {
  const wide: EndpointSpec = { ...spec, slots: 64, queueLimit: 64 };
  const overloaded = (): EndpointState => {
    const state = createEndpointState(wide, ["m"]);
    for (let turn = 0; turn < 40; turn += 1) state.begin("m", true, turn, start);
    state.setGauges({ running: 8, waiting: 32 }, start);
    state.setGauges({ running: 8, waiting: 32 }, start + 2000);
    return state;
  };

  test("has the slots that it runs, for whoever asks", () => {
    const state = overloaded();
    expect(state.spec.slots).toBe(8);
    expect(state.pressure(start + 2000)).toBeGreaterThan(1);
  });

  test("says so when it has more again, and keeps what it learned over a reload", () => {
    const state = overloaded();
    state.reconfigure({ ...wide, queueLimit: 3 }, ["m"]);
    expect([state.spec.slots, state.spec.queueLimit]).toEqual([8, 3]);
    state.begin("m", true, 0, start + 2500);
    for (let turn = 0; turn < 33; turn += 1)
      state.end({ kind: "ok", model: "m", stream: true, totalMs: 10 }, start + 2600, random);
    expect(state.setGauges({ running: 8, waiting: 0 }, start + 4000)).toBe(true);
    expect(state.spec.slots).toBe(9);
    expect(state.setGauges({ running: 2, waiting: 0 }, start + 6000)).toBe(true);
    expect(state.setGauges({ running: 2, waiting: 0 }, start + 8000)).toBe(false);
  });
});
