// Everything that decides about a slot, at once: shares, hedges, slots that come and go, silence, quarantine, callers who
// leave. Whatever the order: nothing is left behind, nobody waits beside a slot that he could have, and the limits hold.

import { expect, test } from "bun:test";
import fc from "fast-check";
import { seededRandom } from "../../src/base/random.ts";
import { dispatchRule } from "../../src/dispatch/dispatch.ts";
import type { InferenceRequest } from "../../src/dispatch/inference-request.ts";
import { BrokenAnswer } from "../../src/dispatch/relay.ts";
import type { RetryBudget } from "../../src/dispatch/retry-budget.ts";
import type { EndpointState } from "../../src/fleet/endpoint-state.ts";
import { pushBackRule } from "../../src/fleet/push-back.ts";
import { balancers } from "../../src/routing/balancers/balancers.ts";
import { route } from "../../src/routing/route.ts";
import type { Reply } from "../support/fake-wire.ts";
import { inference } from "../support/inference.ts";
import type { Engine } from "./scene.ts";
import { events, good, hangs, json, refused, scene, status, told } from "./scene.ts";

const balance = balancers["least-pressure"];
const rungs = {
  gold: { tier: "gold", balance, hedges: true },
  silver: { tier: "silver", balance, hedges: true },
} as const;

/** One in ten of its answers takes 500 ms instead of 20. */
function makeLongTailed(endpoint: EndpointState): void {
  const random = seededRandom(1);
  for (let call = 0; call < 160; call += 1) {
    const firstByteMs = call % 10 === 0 ? 500 : 20;
    endpoint.begin("m", true, 0, 0);
    endpoint.end({ kind: "ok", model: "m", stream: true, firstByteMs, totalMs: firstByteMs }, 0, random);
  }
}

const anyReply: fc.Arbitrary<Reply> = fc.oneof(
  fc.constantFrom<Reply>(hangs, refused, good, status(500), status(503), status(429)),
  fc
    .record({ failsWith: fc.constantFrom("reset", "closed"), afterMs: fc.nat(200), reused: fc.boolean() })
    .map((reply): Reply => reply),
  fc.record({ firstMs: fc.nat(300), restMs: fc.nat(200), end: fc.constantFrom("clean", "cut", "never") }).map(
    ({ firstMs, restMs, end }): Reply => ({
      headers: events,
      chunks: [
        [firstMs, "data: {}\n\n"],
        [firstMs + restMs, "data: [DONE]\n\n"],
      ],
      end,
    }),
  ),
);
const anyEngine: fc.Arbitrary<Engine> = fc.record({
  tier: fc.constantFrom("gold", "gold", "silver"),
  slots: fc.integer({ min: 1, max: 6 }),
  queueLimit: fc.nat(3),
  replies: fc.array(anyReply, { minLength: 1, maxLength: 4 }),
});
const anyCaller = {
  afterMs: fc.nat(40),
  caller: fc.constantFrom(undefined, "key-1", "key-2"),
  session: fc.constantFrom(undefined, "many", "many", "few"),
  stream: fc.boolean(),
  leftMs: fc.integer({ min: 20, max: 900 }),
  leavesAfterMs: fc.option(fc.nat(300), { nil: undefined }),
  /** To which engine something else happens in that moment. */
  at: fc.nat(3),
};
const anyStep = fc.record({
  ...anyCaller,
  sla: fc.constantFrom("realtime", "interactive"),
  ladder: fc.constantFrom([rungs.gold, rungs.silver], [rungs.silver, rungs.gold]),
  share: fc.constantFrom(undefined, undefined, 0.5),
  model: fc.constantFrom(undefined, undefined, "model-of-e0"),
  text: fc.constantFrom("one", "two", "poison"),
  also: fc.constantFrom(
    "nothing",
    "nothing",
    "silent",
    "all silent",
    "gone",
    "fewer",
    "more",
    "queues",
    "runs",
  ),
});

/** What becomes of an engine's slots: the file names others, or it says how it is. */
function changeSlots(
  { rooms, clock }: ReturnType<typeof scene>,
  endpoint: EndpointState,
  how: "fewer" | "more" | "queues" | "runs",
): void {
  const { spec, inflight, reconfigure, setGauges } = endpoint;
  const wake = (): void => rooms.slotFreed(endpoint, endpoint.spec.slots - endpoint.inflight);
  if (how === "fewer" || how === "more") {
    reconfigure({ ...spec, slots: how === "more" ? 6 : 1 }, undefined);
    wake();
    return;
  }
  const gauges = how === "queues" ? { running: 1, waiting: inflight } : { running: inflight, waiting: 0 };
  for (const laterMs of [0, 1000]) if (setGauges(gauges, clock.now() + laterMs)) wake();
}

test("whatever meets in dispatch, all is given back, nobody is forgotten, and no limit is passed", async () => {
  let hedged = 0;
  let displaced = 0;
  let stopped = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyEngine, { minLength: 1, maxLength: 4 }),
      fc.array(anyStep, { minLength: 1, maxLength: 24 }),
      fc.nat(12),
      fc.nat(),
      async (engines, steps, tokens, seed) => {
        let left = tokens;
        const pay = (): boolean => {
          if (left < 1) return false;
          left -= 1;
          return true;
        };
        const budget: RetryBudget = {
          earn: () => undefined,
          covers: () => left >= 1,
          spend: pay,
          spendOnHedge: pay,
        };
        const named = Object.fromEntries(engines.map((engine, index) => [`e${index}`, engine]));
        const stage = scene(named, { budget, seed });
        const { clock, fleet, evacuation, rooms, quarantine, ends, hedges, wireOf, expectPeace } = stage;
        for (const endpoint of fleet.local) makeLongTailed(endpoint);
        const offered = fleet.local.map(({ calls }) => calls);
        const all: { asked: ReturnType<typeof stage.ask>; late: boolean }[] = [];
        const readings: Promise<void>[] = [];
        for (const { afterMs, leftMs, leavesAfterMs, also, at, text, share, ...rest } of steps) {
          await clock.advance(afterMs);
          const deadline = clock.now() + leftMs;
          const more = { ...rest, deadline, text: `{"messages":["${text}"]}`, ...(share && { share }) };
          const asked = stage.ask(more);
          const each = { asked, late: false };
          all.push(each);
          clock.after(leftMs + 50, () => {
            each.late = asked.done === undefined;
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
          const endpoint = fleet.local[at % fleet.local.length];
          if (endpoint === undefined) continue;
          if (also === "silent") evacuation.evacuate(endpoint);
          if (also === "all silent") for (const one of fleet.local) evacuation.evacuate(one);
          if (also === "gone") {
            rooms.empty(endpoint);
            quarantine.gone(endpoint.spec.name, clock.now());
          }
          if (also === "fewer" || also === "more" || also === "queues" || also === "runs")
            changeSlots(stage, endpoint, also);
        }
        await clock.advance(3000);
        await Promise.all(readings);
        let attempts = 0;
        for (const { asked, late } of all) {
          expect(asked.failed).toBeUndefined();
          expect([late, told(asked.done)]).not.toEqual([late, "pending"]);
          expect(late).toBe(false);
          const { tried = [], because } = asked.done?.journey ?? {};
          const calls = tried.length + (asked.done?.kind === "answer" ? 1 : 0);
          expect(calls).toBeLessThanOrEqual(dispatchRule.attemptsMost);
          attempts += calls;
          if (because === "over-share" && asked.done?.kind === "refusal" && tried.length === 0)
            displaced += 1;
          if (because === "quarantined") stopped += 1;
        }
        expectPeace();
        for (const endpoint of fleet.local) {
          expect([endpoint.sharing, endpoint.displaces({ flow: { caller: "new", session: "new" } })]).toEqual(
            [0, false],
          );
          expect(endpoint.excess({ caller: "key-1", session: "many" })).toBe(0);
        }
        const calls = fleet.local.reduce((sum, each, index) => sum + each.calls - (offered[index] ?? 0), 0);
        expect(attempts).toBeLessThanOrEqual(calls);
        // Who is paid for, or free once.
        expect(calls - all.length).toBeLessThanOrEqual(tokens + all.length);
        const sent = fleet.local.flatMap(({ spec }) => wireOf(spec.name).requests);
        expect(ends.length).toBe(sent.filter(({ fresh }) => fresh !== true).length);
        hedged += hedges.length;
      },
    ),
    { numRuns: 600, seed: 7 },
  );
  expect(hedged).toBeGreaterThan(20);
  expect(displaced).toBeGreaterThan(10);
  expect(stopped).toBeGreaterThan(0);
});

test("nobody waits beside a slot of the tier that would be given to him if he came anew", async () => {
  const healthy = fc.record({
    slots: fc.integer({ min: 1, max: 6 }),
    queueLimit: fc.nat(5),
    replies: fc.array(
      fc.nat(200).map((ms) => json("{}", ms)),
      { minLength: 1, maxLength: 4 },
    ),
  });
  const step = fc.record({
    ...anyCaller,
    model: fc.constantFrom(undefined, undefined, "of-e0-only", "of-the-others"),
    also: fc.constantFrom("nothing", "nothing", "fewer", "more", "queues", "runs"),
  });
  let waits = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(healthy, { minLength: 1, maxLength: 4 }),
      fc.array(step, { minLength: 1, maxLength: 40 }),
      async (engines, steps) => {
        const stage = scene(Object.fromEntries(engines.map((engine, index) => [`e${index}`, engine])));
        const { clock, fleet, expectPeace } = stage;
        for (const { spec, setModels } of fleet.local)
          setModels([spec.name === "e0" ? "of-e0-only" : "of-the-others"]);
        const waiting = new Map<InferenceRequest, ReturnType<typeof stage.ask>>();
        const pass = async (ms: number): Promise<void> => {
          for (let passed = 0; passed < ms; passed += 5) {
            await clock.advance(5);
            for (const [request, { done }] of waiting) {
              if (done !== undefined || clock.now() >= request.deadline) continue;
              waits += 1;
              expect(route(request, fleet, [], clock.now(), () => 0.5).do).not.toBe("try");
            }
          }
        };
        for (const { afterMs, leftMs, leavesAfterMs, also, at, ...rest } of steps) {
          await pass(afterMs);
          const more = { ...rest, deadline: clock.now() + leftMs, ladder: [rungs.gold] };
          const request = inference(clock.now(), more);
          let isTaken = false;
          const taken = (): void => {
            isTaken = true;
            waiting.delete(request);
          };
          const asked = stage.ask({ ...more, taken });
          if (!isTaken) waiting.set(request, asked);
          if (leavesAfterMs !== undefined) clock.after(leavesAfterMs, asked.leave);
          const endpoint = fleet.local[at % fleet.local.length];
          if (endpoint !== undefined && also !== "nothing") changeSlots(stage, endpoint, also);
        }
        await pass(1000);
        await clock.advance(2000);
        expectPeace();
      },
    ),
    { numRuns: 1000 },
  );
  expect(waits).toBeGreaterThan(1000);
});

test("nobody waits beside a slot elsewhere on his ladder that he would be given, but while another goes first", async () => {
  const closing = fc.constantFrom<Reply>(
    refused,
    status(500),
    status(429),
    status(429, "{}", { "retry-after-ms": "300" }),
  );
  const reply = fc.oneof(
    { weight: 2, arbitrary: fc.nat(400).map((ms) => json("{}", ms)) },
    { weight: 1, arbitrary: closing },
  );
  const engine = fc.record({
    tier: fc.constantFrom("gold", "gold", "silver"),
    slots: fc.integer({ min: 1, max: 4 }),
    queueLimit: fc.nat(5),
    replies: fc.array(reply, { minLength: 1, maxLength: 6 }),
  });
  const step = fc.record({
    ...anyCaller,
    leftMs: fc.integer({ min: 300, max: 2000 }),
    waitsMs: fc.nat(200),
    sla: fc.constantFrom("realtime", "interactive"),
    ladder: fc.constantFrom([rungs.gold, rungs.silver], [rungs.silver, rungs.gold]),
  });
  const stepMs = 5;
  let waited = 0;
  let called = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.array(engine, { minLength: 2, maxLength: 4 }),
      fc.array(step, { minLength: 1, maxLength: 40 }),
      async (engines, steps) => {
        const stage = scene(Object.fromEntries(engines.map((each, index) => [`e${index}`, each])));
        const { clock, fleet, rooms, expectPeace } = stage;
        const inRoom = new Map<object, (endpoint: EndpointState) => unknown>();
        const { wait } = rooms;
        rooms.wait = (room, deadline, maxWaitMs, signal, holds, elsewhere) => {
          const key = {};
          inRoom.set(key, (other) => other !== room && clock.now() < deadline && elsewhere?.(other));
          return wait(room, deadline, maxWaitMs, signal, holds, elsewhere).then((wake) => {
            inRoom.delete(key);
            if (typeof wake !== "string" && wake !== room) called += 1;
            return wake;
          });
        };
        const besideMs = new Map<EndpointState, number>();
        const pass = async (ms: number): Promise<void> => {
          for (let passed = 0; passed < ms; passed += stepMs) {
            await clock.advance(stepMs);
            waited += inRoom.size;
            for (const endpoint of fleet.local) {
              const isWanted = inRoom.values().some((wants) => Boolean(wants(endpoint)));
              besideMs.set(endpoint, isWanted ? (besideMs.get(endpoint) ?? 0) + stepMs : 0);
              expect(besideMs.get(endpoint)).toBeLessThanOrEqual(pushBackRule.triedMs + stepMs);
            }
          }
        };
        for (const { afterMs, leftMs, waitsMs, leavesAfterMs, at: _, ...rest } of steps) {
          await pass(afterMs);
          const deadline = clock.now() + leftMs;
          const asked = stage.ask({ ...rest, deadline, waitsUntil: clock.now() + waitsMs });
          if (leavesAfterMs !== undefined) clock.after(leavesAfterMs, asked.leave);
        }
        await pass(2000);
        await clock.advance(2000);
        expectPeace();
      },
    ),
    { numRuns: 150, seed: 7 },
  );
  expect(waited).toBeGreaterThan(1000);

  expect(called).toBeGreaterThan(15);
});
