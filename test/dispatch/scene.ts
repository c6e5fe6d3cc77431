// Dispatch over engines that are scripted, in virtual time: the stage for the tests of the loop.

import { expect } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import type { CallEnd } from "../../src/dispatch/call.ts";
import { createDispatch } from "../../src/dispatch/dispatch.ts";
import type { Dispatched } from "../../src/dispatch/dispatched.ts";
import { createEvacuation } from "../../src/dispatch/evacuation.ts";
import type { HedgeEnd } from "../../src/dispatch/hedge.ts";
import type { InferenceRequest } from "../../src/dispatch/inference-request.ts";
import type { RetryBudget } from "../../src/dispatch/retry-budget.ts";
import { createRetryBudget } from "../../src/dispatch/retry-budget.ts";
import { createWaitingRooms } from "../../src/dispatch/waiting-room.ts";
import { dialects } from "../../src/engines/engine.ts";
import type { Tier } from "../../src/fleet/endpoint.ts";
import type { EndpointState } from "../../src/fleet/endpoint-state.ts";
import { createFleet } from "../../src/fleet/fleet.ts";
import { createQuarantine } from "../../src/fleet/quarantine.ts";
import type { FakeWire, Reply } from "../support/fake-wire.ts";
import { fakeWire } from "../support/fake-wire.ts";
import { inference } from "../support/inference.ts";
import { virtualClock } from "../support/virtual-clock.ts";

export interface Engine {
  readonly tier?: Tier;
  readonly slots?: number;
  readonly queueLimit?: number;
  /** To every request, or to each in turn; the last one again and again. */
  readonly replies: readonly Reply[];
  /** What it says that it serves when it is asked anew, and after how long. */
  readonly relist?: { readonly models: readonly string[]; readonly afterMs: number };
}

interface Options {
  readonly budget?: RetryBudget;
  readonly seed?: number;
}

export function scene(engines: Readonly<Record<string, Engine>>, options: Options = {}) {
  const clock = virtualClock();
  const random = seededRandom(options.seed ?? 1);
  const fleet = createFleet(
    Object.entries(engines).map(([name, { tier = "gold", slots = 4, queueLimit = 4 }]) => ({
      spec: { name, tier, locality: "local", slots, queueLimit },
      identity: name,
      models: undefined,
    })),
  );
  for (const endpoint of fleet.local) endpoint.setModels([`model-of-${endpoint.spec.name}`]);
  let relists = 0;
  const wires = new Map<string, FakeWire>();
  for (const [name, { replies }] of Object.entries(engines)) {
    const wire: FakeWire = fakeWire(clock, () => {
      const reply = replies[Math.min(wire.requests.length, replies.length) - 1];
      return reply ?? { hangs: true };
    });
    wires.set(name, wire);
  }
  const wireOf = (name: string): FakeWire => {
    const wire = wires.get(name);
    if (wire === undefined) throw new Error(`no engine ${name}`);
    return wire;
  };
  const endpointOf = (name: string): EndpointState => {
    const endpoint = fleet.named(name);
    if (endpoint === undefined) throw new Error(`no endpoint ${name}`);
    return endpoint;
  };
  const ends: CallEnd[] = [];
  const moves: string[] = [];
  const quarantine = createQuarantine();
  const hedges: HedgeEnd[] = [];
  const rooms = createWaitingRooms(clock);
  const evacuation = createEvacuation(rooms, clock);
  const dispatch = createDispatch({
    fleet,
    rooms,
    evacuation,
    clock,
    random,
    budget: options.budget ?? createRetryBudget(() => 4, clock.now()),
    quarantine,
    linkOf: ({ spec }) => ({
      relist() {
        const { models, afterMs } = engines[spec.name]?.relist ?? {
          models: [`model-of-${spec.name}`],
          afterMs: 0,
        };
        relists += 1;
        return new Promise((resolve) => {
          clock.after(afterMs, () => {
            endpointOf(spec.name).setModels(models);
            resolve();
          });
        });
      },
      client: wireOf(spec.name).client,
      dialect: dialects.openai,
      authorization: undefined,
      intentConstraint: () => dialects.openai.intentConstraints[0],
    }),
    events: {
      attemptEnded: (_endpoint, end) => ends.push(end),
      breakerMoved: (endpoint, { model }, to) => moves.push(`${endpoint.spec.name} ${model} ${to}`),
      hedged: (end) => hedges.push(end),
    },
  });

  /** Starts one request; `done` is what became of it, once it has. */
  const ask = (more: Partial<InferenceRequest> & { text?: string } = {}) => {
    const caller = new AbortController();
    const asked: { done: Dispatched | undefined; failed: unknown; leave(): void } = {
      done: undefined,
      failed: undefined,
      leave: () => caller.abort(),
    };
    dispatch(inference(clock.now(), more), caller.signal).then(
      (done) => {
        asked.done = done;
      },
      (error: unknown) => {
        asked.failed = error;
      },
    );
    return asked;
  };

  /** Nothing is left of anything: no slot, no place, no exchange, no timer, no question to look with. */
  const expectPeace = (): void => {
    for (const endpoint of fleet.endpoints) {
      const { name } = endpoint.spec;
      expect([name, endpoint.inflight, endpoint.waiting]).toEqual([name, 0, 0]);
      expect([name, wireOf(name).open()]).toEqual([name, 0]);
      expect([name, evacuation.askedOf(endpoint)]).toEqual([name, undefined]);
    }
    expect(clock.pending()).toBe(0);
  };

  return {
    clock,
    fleet,
    dispatch,
    evacuation,
    quarantine,
    rooms,
    ask,
    ends,
    moves,
    hedges,
    wireOf,
    endpointOf,
    expectPeace,
    relists: () => relists,
  };
}

export const json = (text: string, atMs = 10): Reply => ({ chunks: [[atMs, text]] });
export const events = { "content-type": "text/event-stream" };
export const streamed = (...chunks: readonly (readonly [number, string])[]): Reply => ({
  headers: events,
  chunks,
});
export const status = (code: number, text = "{}", headers: Record<string, string> = {}): Reply => ({
  status: code,
  headers: { "content-type": "application/json", ...headers },
  chunks: [[1, text]],
});
export const refused: Reply = { failsWith: "refused" };
export const hangs: Reply = { hangs: true };
export const good = json('{"ok":true}');

/** What became of a request, in a line. */
export function told(done: Dispatched | undefined): string {
  if (done === undefined) return "pending";
  if (done.kind === "gone" || done.kind === "defer") return done.kind;
  if (done.kind === "refusal") return `refusal ${done.code}`;
  return `answer ${done.status} by ${done.answeredBy.name} because ${done.journey.because} after ${done.attempts}`;
}
