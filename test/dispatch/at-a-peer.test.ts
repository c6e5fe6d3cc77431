// Dispatch where the engines are behind peers: what another router's answers become, in virtual time.

import { describe, expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import type { CallEnd } from "../../src/dispatch/call.ts";
import { createDispatch } from "../../src/dispatch/dispatch.ts";
import type { Dispatched } from "../../src/dispatch/dispatched.ts";
import { createEvacuation } from "../../src/dispatch/evacuation.ts";
import type { InferenceRequest } from "../../src/dispatch/inference-request.ts";
import { createRetryBudget } from "../../src/dispatch/retry-budget.ts";
import { createWaitingRooms } from "../../src/dispatch/waiting-room.ts";
import { peer as dialect } from "../../src/engines/peer.ts";
import type { EndpointState } from "../../src/fleet/endpoint-state.ts";
import { createFleet } from "../../src/fleet/fleet.ts";
import { createQuarantine } from "../../src/fleet/quarantine.ts";
import { advertWith, engineThere } from "../support/adverts.ts";
import type { Reply } from "../support/fake-wire.ts";
import { fakeWire } from "../support/fake-wire.ts";
import { inference } from "../support/inference.ts";
import { virtualClock } from "../support/virtual-clock.ts";
import { hangs } from "./scene.ts";

/** One host with one engine each, that answers as its name says. */
function scene(replies: Readonly<Record<string, Reply>>) {
  const clock = virtualClock();
  const random = seededRandom(1);
  const fleet = createFleet([], { name: "door-1", zone: undefined });
  const wires = Object.fromEntries(
    Object.entries(replies).map(([name, reply]) => [`${name}/vllm`, fakeWire(clock, () => reply)]),
  );
  for (const name of Object.keys(replies)) {
    const advert = advertWith([engineThere({ slots: 4 })]);
    fleet.setPeer({ name, boot: "1", state: "alive", advert, advertAt: clock.now() }, clock.now());
  }
  const ends: CallEnd[] = [];
  const rooms = createWaitingRooms(clock);
  const dispatch = createDispatch({
    fleet,
    rooms,
    evacuation: createEvacuation(rooms, clock),
    clock,
    random,
    budget: createRetryBudget(() => 4, clock.now()),
    quarantine: createQuarantine(),
    linkOf(endpoint) {
      const wire = wires[endpoint.spec.name];
      if (wire === undefined) throw new Error(`no wire to ${endpoint.spec.name}`);
      return { client: wire.client, dialect, peer: endpoint };
    },
    events: {
      attemptEnded: (_, end) => ends.push(end),
      breakerMoved: () => undefined,
      hedged: () => undefined,
    },
  });
  const ask = async (ms: number, more: Partial<InferenceRequest> = {}): Promise<Dispatched | undefined> => {
    let done: Dispatched | undefined;
    void dispatch(inference(clock.now(), more), new AbortController().signal).then((result) => {
      done = result;
    });
    await clock.advance(ms);
    return done;
  };
  const endpointOf = (name: string): EndpointState => {
    const endpoint = fleet.named(`${name}/vllm`);
    if (endpoint === undefined) throw new Error(`no ${name}`);
    return endpoint;
  };
  return { clock, fleet, ask, ends, endpointOf, wires };
}

const json = { "content-type": "application/json" };
const hint = { "x-tierline-load": "2 3 0 - 40" };
const says = (status: number, text: string, headers: Readonly<Record<string, string>> = hint): Reply => ({
  status,
  headers: { ...json, ...headers },
  chunks: [[5, text]],
});
const refusing = (status: number, why: string, more: Readonly<Record<string, string>> = {}): Reply =>
  says(status, '{"error":{"message":"not here"}}', { "x-tierline-peer-refused": why, ...more });

describe("an answer through another router", () => {
  test("is the caller's as the engine gave it, errors of the caller's own included", async () => {
    for (const [status, text] of [
      [200, '{"choices":[]}'],
      [400, '{"error":{"message":"the engine says  so"}}'],
      [404, '{"error":"no such model"}'],
    ] as const) {
      const done = await scene({ a: says(status, text) }).ask(5);
      if (done?.kind !== "answer" || !(done.body instanceof Uint8Array)) throw new Error("no answer");
      expect([done.status, Buffer.from(done.body).toString()]).toEqual([status, text]);
    }
  });

  test("tells how loaded the endpoint is, whether the engine answered or not", async () => {
    for (const reply of [says(200, "{}"), refusing(429, "tier_overloaded", hint)]) {
      const { clock, ask, endpointOf } = scene({ a: reply });
      await ask(5);
      expect(endpointOf("a").recentFirstByteMs(clock.now())).toBe(40);
    }
  });

  test("that the router there refused is never the caller's: it is asked for elsewhere", async () => {
    for (const [reply, outcome] of [
      [refusing(401, "stale"), "server-error"],
      [refusing(403, "wrong-key"), "server-error"],
      [refusing(404, "model_not_found"), "server-error"],
      [refusing(502, "upstream_failed"), "server-error"],
      [refusing(503, "draining"), "busy"],
      [refusing(429, "tier_overloaded", { "retry-after-ms": "70" }), "busy"],
      [refusing(504, "deadline_exceeded"), "timeout"],
      // No router of the fleet listens there any more.
      [says(401, '{"error":{"message":"who are you?"}}', {}), "server-error"],
      [says(404, "{}", {}), "server-error"],
      // A stream that is none.
      [
        {
          headers: { "content-type": "text/event-stream", "x-tierline-peer-refused": "upstream_failed" },
          chunks: [[5, "data: {}\n\n"]],
        },
        "server-error",
      ],
    ] as const) {
      const { ask, ends } = scene({ a: reply, b: reply });
      const done = await ask(20);
      expect(done?.kind).toBe("refusal");
      expect(ends.map(({ kind }) => kind)).toEqual([outcome, outcome]);
    }
  });

  test("that it has no room makes this router short of the tier, and so does finding all peers full", async () => {
    for (const [reply, short] of [
      [refusing(429, "tier_overloaded"), ["gold"]],
      [says(200, "{}"), []],
      [refusing(502, "upstream_failed"), []],
    ] as const) {
      const { clock, fleet, ask } = scene({ a: reply });
      await ask(20);
      expect(fleet.short(clock.now())).toEqual([...short]);
    }
    const { clock, fleet, ask, endpointOf } = scene({ a: says(200, "{}") });
    const full = { at: 2, inflight: 4, waiting: 0, kvPercent: undefined, firstByteMs: undefined };
    endpointOf("a").told(full, clock.now());
    expect(await ask(0)).toMatchObject({ kind: "refusal", code: "tier_overloaded" });
    expect(fleet.short(clock.now())).toEqual(["gold"]);
  });

  test("that it has no room for a job is no word on what it has for others", async () => {
    const { clock, fleet, ask, endpointOf } = scene({ a: refusing(429, "tier_overloaded") });
    const done = await ask(20, { sla: "async", pressureBelow: 0.5 });
    expect(done).toMatchObject({ kind: "refusal", code: "tier_overloaded" });
    expect(fleet.short(clock.now())).toEqual([]);
    const a = endpointOf("a");
    expect([a.pushedBack(clock.now()), a.breakerState(clock.now())]).toEqual([false, "closed"]);
    await ask(20);
    expect([a.pushedBack(clock.now()), fleet.short(clock.now())]).toEqual([true, ["gold"]]);
  });

  test("that says its time is over ends the request as a deadline where ours is over too, and opens no breaker", async () => {
    const { ask, ends, endpointOf, clock } = scene({
      a: { ...refusing(504, "deadline_exceeded"), headAfterMs: 95 },
    });
    for (let turn = 0; turn < 10; turn += 1) {
      const done = await ask(100, { deadline: clock.now() + 100 });
      expect(done).toMatchObject({ kind: "refusal", code: "deadline_exceeded" });
    }
    expect(ends.map(({ kind }) => kind)).toEqual(Array(10).fill("deadline"));
    expect(endpointOf("a").breakerState(clock.now())).toBe("closed");
  });

  test("that never comes is given up at our own deadline", async () => {
    const { ask, wires } = scene({ a: hangs });
    const done = await ask(2000);
    expect(done).toMatchObject({ kind: "refusal", code: "deadline_exceeded" });
    expect(wires["a/vllm"]?.open()).toBe(0);
  });
});
