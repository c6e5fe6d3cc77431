// The loop between routing and the engines, over engines that are scripted, in virtual time.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { seededRandom } from "../../src/base/random.ts";
import type { CallEnd } from "../../src/dispatch/attempt.ts";
import type { Dispatched } from "../../src/dispatch/dispatch.ts";
import { createDispatch, dispatchRule } from "../../src/dispatch/dispatch.ts";
import type { InferenceRequest } from "../../src/dispatch/inference-request.ts";
import { BrokenAnswer } from "../../src/dispatch/relay.ts";
import type { RetryBudget } from "../../src/dispatch/retry-budget.ts";
import { createRetryBudget } from "../../src/dispatch/retry-budget.ts";
import { createWaitingRooms } from "../../src/dispatch/waiting-room.ts";
import { dialects } from "../../src/engines/engine.ts";
import type { Tier } from "../../src/fleet/endpoint.ts";
import type { EndpointState } from "../../src/fleet/endpoint-state.ts";
import { createFleet } from "../../src/fleet/fleet.ts";
import type { FakeWire, Reply } from "../support/fake-wire.ts";
import { fakeWire } from "../support/fake-wire.ts";
import { inference } from "../support/inference.ts";
import { virtualClock } from "../support/virtual-clock.ts";

interface Engine {
  readonly tier?: Tier;
  readonly slots?: number;
  readonly queueLimit?: number;
  /** To every request, or to each in turn; the last one again and again. */
  readonly replies: readonly Reply[];
}

interface Options {
  readonly budget?: RetryBudget;
  readonly seed?: number;
}

function scene(engines: Readonly<Record<string, Engine>>, options: Options = {}) {
  const clock = virtualClock();
  const random = seededRandom(options.seed ?? 1);
  const fleet = createFleet(
    Object.entries(engines).map(([name, { tier = "gold", slots = 4, queueLimit = 4 }]) => ({
      spec: { name, tier, locality: "local", slots, queueLimit },
      models: [`model-of-${name}`],
    })),
  );
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
  const rooms = createWaitingRooms(clock);
  const dispatch = createDispatch({
    fleet,
    rooms,
    clock,
    random,
    budget: options.budget ?? createRetryBudget(() => 4, clock.now()),
    linkOf: ({ spec }) => ({
      client: wireOf(spec.name).client,
      dialect: dialects.openai,
      authorization: undefined,
    }),
    events: {
      attemptEnded: (_endpoint, _request, end) => ends.push(end),
      breakerMoved: (endpoint, { model }, to) => moves.push(`${endpoint.spec.name} ${model} ${to}`),
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
      expect([name, dispatch.askedOf(endpoint)]).toEqual([name, undefined]);
    }
    expect(clock.pending()).toBe(0);
  };

  return { clock, fleet, dispatch, rooms, ask, ends, moves, wireOf, endpointOf, expectPeace };
}

const json = (text: string, atMs = 10): Reply => ({ chunks: [[atMs, text]] });
const events = { "content-type": "text/event-stream" };
const streamed = (...chunks: readonly (readonly [number, string])[]): Reply => ({ headers: events, chunks });
const status = (code: number, text = "{}", headers: Record<string, string> = {}): Reply => ({
  status: code,
  headers: { "content-type": "application/json", ...headers },
  chunks: [[1, text]],
});
const refused: Reply = { failsWith: "refused" };
const hangs: Reply = { hangs: true };
const good = json('{"ok":true}');

function told(done: Dispatched | undefined): string {
  if (done === undefined) return "pending";
  if (done.kind === "gone") return "gone";
  if (done.kind === "refusal") return `refusal ${done.code}`;
  return `answer ${done.status} by ${done.endpoint.spec.name} because ${done.journey.because} after ${done.attempts}`;
}

const bodyOf = (done: Dispatched | undefined): string => {
  if (done?.kind !== "answer" || !(done.body instanceof Uint8Array)) throw new Error("no whole body");
  return Buffer.from(done.body).toString();
};

describe("a request", () => {
  test("is answered by the first rung, byte for byte, with the engine's own model name in it", async () => {
    const { clock, ask, wireOf, expectPeace } = scene({ g: { replies: [json('{ "ok" : 1 }')] } });
    const asked = ask();
    await clock.advance(10);
    expect(told(asked.done)).toBe("answer 200 by g because local-first after 1");
    expect(bodyOf(asked.done)).toBe('{ "ok" : 1 }');
    expect(wireOf("g").requests.map(({ text }) => text)).toEqual(['{"model":"model-of-g","messages":[]}']);
    expectPeace();
  });

  test("gets the engine's own 4xx, and it is nobody's failure", async () => {
    const { clock, ask, ends, expectPeace } = scene({
      g: { replies: [status(400, '{"error":"yours"}')] },
      s: { tier: "silver", replies: [good] },
    });
    const asked = ask();
    await clock.advance(10);
    expect(told(asked.done)).toBe("answer 400 by g because local-first after 1");
    expect(bodyOf(asked.done)).toBe('{"error":"yours"}');
    expect(ends.map(({ kind }) => kind)).toEqual(["client-error"]);
    expectPeace();
  });

  for (const [title, reply, outcome] of [
    ["refuses the connection", refused, "refused"],
    ["resets it", { failsWith: "reset" }, "reset"],
    ["cannot be reached", { failsWith: "unreachable" }, "unreachable"],
    ["breaks TLS", { failsWith: "tls" }, "unreachable"],
    ["answers garbage", { failsWith: "malformed" }, "garbage"],
    ["answers too much of a header", { failsWith: "too-large" }, "garbage"],
    ["says 500", status(500), "server-error"],
    ["says 503", status(503), "busy"],
    ["says 429", status(429), "busy"],
    ["has no free connection", { failsWith: "too-many-connections" }, "busy"],
    ["cuts its answer short", { chunks: [[1, '{"ok":']], end: "cut" }, "truncated"],
    ["ends without a length in the middle", { chunks: [[1, '{"ok":']], delimited: "close" }, "truncated"],
  ] as const satisfies readonly (readonly [string, Reply, string])[]) {
    test(`is answered elsewhere when the first engine ${title}`, async () => {
      const { clock, ask, expectPeace } = scene({
        g: { replies: [reply] },
        h: { replies: [good] },
      });
      const asked = ask();
      await clock.advance(20);
      expect(told(asked.done)).toBe(`answer 200 by h because retry-after-${outcome} after 2`);
      expectPeace();
    });
  }

  test("falls to the next rung when there is no other engine on the first", async () => {
    const { clock, ask } = scene({ g: { replies: [refused] }, s: { tier: "silver", replies: [good] } });
    const asked = ask();
    await clock.advance(20);
    expect(told(asked.done)).toBe("answer 200 by s because fallback-from-gold after 2");
  });

  test("is answered though its engine closes without a length, where the answer is whole", async () => {
    const { clock, ask, expectPeace } = scene({
      g: { replies: [{ chunks: [[1, '{"ok":1}']], delimited: "close" }] },
    });
    const asked = ask();
    await clock.advance(1);
    expect(told(asked.done)).toBe("answer 200 by g because local-first after 1");
    expectPeace();
  });

  test("is sent again on a fresh connection when a kept-alive one was stale, and that is no attempt more", async () => {
    const { clock, ask, ends, wireOf, expectPeace } = scene({
      g: { replies: [{ failsWith: "closed", reused: true }, good] },
    });
    const asked = ask();
    await clock.advance(20);
    expect(told(asked.done)).toBe("answer 200 by g because local-first after 1");
    expect(wireOf("g").requests.map(({ fresh }) => fresh ?? false)).toEqual([false, true]);
    expect(ends.map(({ kind }) => kind)).toEqual(["ok"]);
    expectPeace();
  });

  test("is not sent a third time when the fresh connection breaks too", async () => {
    const stale: Reply = { failsWith: "closed", reused: true };
    const { clock, ask, wireOf, expectPeace } = scene({ g: { replies: [stale] } });
    const asked = ask();
    await clock.advance(20);
    expect(told(asked.done)).toBe("refusal upstream_failed");
    expect(wireOf("g").requests.length).toBe(2);
    expectPeace();
  });

  test("is tried three times at most, each time elsewhere", async () => {
    const failing: Engine = { replies: [status(500)] };
    const { clock, ask, wireOf, expectPeace } = scene({
      a: failing,
      b: failing,
      c: failing,
      d: failing,
      e: failing,
    });
    const asked = ask();
    await clock.advance(100);
    expect(told(asked.done)).toBe("refusal upstream_failed");
    const asks = ["a", "b", "c", "d", "e"].map((name) => wireOf(name).requests.length);
    expect(asks.toSorted()).toEqual([0, 0, 1, 1, 1]);
    expect(dispatchRule.attemptsMost).toBe(3);
    expectPeace();
  });

  test("is not tried again when the retry budget is spent", async () => {
    const { clock, ask, wireOf } = scene(
      { g: { replies: [status(500)] }, h: { replies: [good] } },
      { budget: { earn: () => undefined, spend: () => false } },
    );
    const asked = ask();
    await clock.advance(20);
    expect(told(asked.done)).toBe("refusal upstream_failed");
    expect(wireOf("h").requests.length).toBe(0);
  });

  test("leaves a dead engine for free, once: the second time it costs", async () => {
    let spent = 0;
    const budget = {
      earn: () => undefined,
      spend() {
        spent += 1;
        return false;
      },
    };
    const { clock, ask } = scene(
      { a: { replies: [refused] }, b: { replies: [refused] }, c: { replies: [good] } },
      { budget },
    );
    const asked = ask();
    await clock.advance(20);
    expect(told(asked.done)).toBe("refusal upstream_failed");
    expect(asked.done?.kind === "refusal" && asked.done.journey.tried.length).toBe(2);
    expect(spent).toBe(1);
  });

  test("with nobody to ask is refused at once, with routing's reason", async () => {
    const { clock, ask } = scene({ g: { slots: 1, queueLimit: 0, replies: [hangs] } });
    ask();
    const asked = ask();
    await clock.settle();
    expect(told(asked.done)).toBe("refusal tier_overloaded");
    expect(asked.done?.kind === "refusal" && asked.done.journey.because).toBe("pool-full");
  });

  test("is passed the longest time that full engines asked for", async () => {
    const { clock, ask } = scene({
      g: { replies: [status(503, "{}", { "retry-after": "2" })] },
      h: { replies: [status(429, "{}", { "retry-after-ms": "70" })] },
    });
    const asked = ask();
    await clock.advance(20);
    expect(asked.done).toMatchObject({ kind: "refusal", code: "tier_overloaded", retryAfterMs: 2000 });
  });

  test("rejects on a bug, and gives back the slot", async () => {
    const { clock, ask, endpointOf, wireOf } = scene({ g: { replies: [good] } });
    wireOf("g").script = () => {
      throw new TypeError("a bug");
    };
    const asked = ask();
    await clock.settle();
    expect(asked.failed).toBeInstanceOf(TypeError);
    expect(endpointOf("g").inflight).toBe(0);
    expect(clock.pending()).toBe(0);
  });
});

describe("a deadline", () => {
  test("is answered at the deadline, and the engine's connection is closed then", async () => {
    const { clock, ask, wireOf, expectPeace } = scene({ g: { replies: [hangs] }, h: { replies: [good] } });
    const asked = ask({ deadline: clock.now() + 500 });
    await clock.advance(499);
    expect([told(asked.done), wireOf("g").open()]).toEqual(["pending", 1]);
    await clock.advance(1);
    expect(told(asked.done)).toBe("refusal deadline_exceeded");
    expectPeace();
  });

  test("that is over when the request comes starts nothing", async () => {
    const { clock, ask, wireOf } = scene({ g: { replies: [good] } });
    const asked = ask({ deadline: clock.now() });
    await clock.settle();
    expect(told(asked.done)).toBe("refusal deadline_exceeded");
    expect(wireOf("g").requests.length).toBe(0);
  });

  test("ends a wait for a slot", async () => {
    const { clock, ask, expectPeace } = scene({ g: { slots: 1, replies: [hangs] } });
    const first = ask({ deadline: clock.now() + 3000 });
    const second = ask({ deadline: clock.now() + 200 });
    await clock.advance(200);
    expect([told(first.done), told(second.done)]).toEqual(["pending", "refusal deadline_exceeded"]);
    await clock.advance(2800);
    expectPeace();
  });

  test("breaks a stream that is still on its way, and says why", async () => {
    const { clock, ask, expectPeace } = scene({
      g: { replies: [{ headers: events, chunks: [[10, "data: {}\n\n"]], end: "never" }] },
    });
    const asked = ask({ stream: true, deadline: clock.now() + 500 });
    await clock.advance(10);
    if (asked.done?.kind !== "answer" || asked.done.body instanceof Uint8Array) throw new Error("no stream");
    const relay = asked.done.body;
    expect(Buffer.from((await relay.next()) ?? []).toString()).toBe("data: {}\n\n");
    const next = relay.next().catch((error: unknown) => error);
    await clock.advance(490);
    expect(await next).toMatchObject({ code: "deadline_exceeded", told: false });
    expectPeace();
  });

  test("of a short caller opens no breaker, however often it passes", async () => {
    const { clock, ask, moves, endpointOf } = scene({ g: { replies: [hangs] } });
    for (let turn = 0; turn < 20; turn += 1) {
      ask({ deadline: clock.now() + 5 });
      await clock.advance(5);
    }
    expect(moves).toEqual([]);
    expect(endpointOf("g").breakerState(clock.now())).toBe("closed");
  });
});

describe("a stream", () => {
  const first = 'data: {"n":1}\n\n';
  const last = "data: [DONE]\n\n";

  /** Reads to the end: the text, and how it ended. */
  async function readAll(done: Dispatched | undefined): Promise<{ text: string; end: string }> {
    if (done?.kind !== "answer" || done.body instanceof Uint8Array) throw new Error("no stream");
    let text = "";
    try {
      for (let chunk = await done.body.next(); chunk !== null; chunk = await done.body.next()) {
        text += Buffer.from(chunk).toString();
      }
      return { text, end: "clean" };
    } catch (error) {
      if (!(error instanceof BrokenAnswer)) throw error;
      return { text, end: `${error.code}${error.told ? ", told" : ""}` };
    }
  }

  test("is relayed from its first event on, while the slot is held, until its end", async () => {
    const { clock, ask, ends, endpointOf, expectPeace } = scene({
      g: { replies: [streamed([5, first], [50, last])] },
    });
    const asked = ask({ stream: true });
    await clock.advance(5);
    expect(told(asked.done)).toBe("answer 200 by g because local-first after 1");
    expect(endpointOf("g").inflight).toBe(1);
    const reading = readAll(asked.done);
    await clock.advance(45);
    expect(await reading).toEqual({ text: first + last, end: "clean" });
    expect(ends).toMatchObject([{ kind: "ok", firstByteMs: 5, totalMs: 50 }]);
    expectPeace();
  });

  for (const [title, reply, outcome] of [
    ["with an error event", streamed([5, 'data: {"error":{"message":"no"}}\n\n']), "server-error"],
    ["with half an event and a cut", { headers: events, chunks: [[5, "data: {"]], end: "cut" }, "truncated"],
    ["with nothing at all", { headers: events, headAfterMs: 5, chunks: [] }, "truncated"],
    [
      "with half an error event, then the other half",
      streamed([5, 'data: {"err'], [6, 'or":"no"}\n\n']),
      "server-error",
    ],
  ] as const satisfies readonly (readonly [string, Reply, string])[]) {
    test(`that begins ${title} is asked for elsewhere`, async () => {
      const { clock, ask, expectPeace } = scene({
        g: { replies: [reply] },
        h: { replies: [streamed([5, first + last])] },
      });
      const asked = ask({ stream: true });
      await clock.advance(20);
      expect(told(asked.done)).toBe(`answer 200 by h because retry-after-${outcome} after 2`);
      expect(await readAll(asked.done)).toEqual({ text: first + last, end: "clean" });
      expectPeace();
    });
  }

  test("without a first byte in time is asked for elsewhere", async () => {
    const { clock, ask, expectPeace } = scene({
      g: { replies: [hangs] },
      h: { replies: [streamed([5, first + last])] },
    });
    const asked = ask({ stream: true, firstByteMs: 250 });
    await clock.advance(249);
    expect(told(asked.done)).toBe("pending");
    await clock.advance(10);
    expect(told(asked.done)).toBe("answer 200 by h because retry-after-timeout after 2");
    await readAll(asked.done);
    expectPeace();
  });

  test("is never asked for elsewhere after its first event: what breaks, breaks", async () => {
    for (const [reply, end] of [
      [{ headers: events, chunks: [[5, first]], end: "cut" }, "upstream_failed"],
      [{ headers: events, chunks: [[5, first]], end: "clean" }, "upstream_failed"],
      [streamed([5, first], [6, 'data: {"error":"no"}\n\ndata: [DONE]\n\n']), "upstream_failed, told"],
    ] as const satisfies readonly (readonly [Reply, string])[]) {
      const { clock, ask, wireOf, expectPeace } = scene({ g: { replies: [reply] }, h: { replies: [good] } });
      const asked = ask({ stream: true });
      await clock.advance(20);
      const read = await readAll(asked.done);
      expect(read.end).toBe(end);
      expect(read.text).toStartWith(first);
      expect(read.text).not.toContain("[DONE]");
      expect(wireOf("h").requests.length).toBe(0);
      expectPeace();
    }
  });

  test("frees its slot when its caller leaves, in the middle", async () => {
    const { clock, ask, ends, expectPeace } = scene({
      g: { replies: [{ headers: events, chunks: [[5, first]], end: "never" }] },
    });
    const asked = ask({ stream: true });
    await clock.advance(5);
    if (asked.done?.kind !== "answer" || asked.done.body instanceof Uint8Array) throw new Error("no stream");
    asked.done.body.cancel("caller");
    await clock.settle();
    expect(ends.map(({ kind }) => kind)).toEqual(["cancelled"]);
    expectPeace();
  });
});

describe("a caller who leaves", () => {
  test("frees the slot and closes the engine's connection at once, and is no failure", async () => {
    const { clock, ask, ends, endpointOf, expectPeace } = scene({ g: { replies: [hangs] } });
    const asked = ask();
    await clock.advance(50);
    expect(endpointOf("g").inflight).toBe(1);
    asked.leave();
    await clock.settle();
    expect(told(asked.done)).toBe("gone");
    expect(ends.map(({ kind }) => kind)).toEqual(["cancelled"]);
    expectPeace();
  });

  test("frees the place in the waiting room", async () => {
    const { clock, ask, endpointOf } = scene({ g: { slots: 1, replies: [hangs] } });
    ask();
    const asked = ask();
    await clock.settle();
    expect(endpointOf("g").waiting).toBe(1);
    asked.leave();
    await clock.settle();
    expect([told(asked.done), endpointOf("g").waiting]).toEqual(["gone", 0]);
  });

  test("lets the next one have the slot", async () => {
    const { clock, ask } = scene({ g: { slots: 1, replies: [hangs, good] } });
    const first = ask();
    const second = ask();
    await clock.advance(5);
    first.leave();
    await clock.advance(10);
    expect(told(second.done)).toBe("answer 200 by g because local-first after 1");
  });
});

describe("a wait", () => {
  test("ends when a slot is free, and its time is told apart from the engine's", async () => {
    const { clock, ask, expectPeace } = scene({
      g: { slots: 1, replies: [json("{}", 100), json("{}", 10)] },
    });
    ask();
    const asked = ask();
    await clock.advance(110);
    expect(told(asked.done)).toStartWith("answer 200 by g");
    expect(asked.done?.journey).toMatchObject({ queuedMs: 100, engineMs: 10, tried: [] });
    expectPeace();
  });

  test("for an engine that dies ends at once, elsewhere", async () => {
    const { clock, ask, expectPeace } = scene({
      g: { slots: 1, replies: [{ failsWith: "reset", afterMs: 30 }] },
      s: { tier: "silver", replies: [good] },
    });
    const first = ask();
    const second = ask();
    await clock.advance(40);
    expect(told(first.done)).toBe("answer 200 by s because fallback-from-gold after 2");
    expect(told(second.done)).toBe("answer 200 by s because fallback-from-gold after 1");
    expectPeace();
  });

  test("serves the most urgent first", async () => {
    const { clock, ask } = scene({ g: { slots: 1, replies: [json("{}", 100), hangs] } });
    ask();
    const patient = ask({ deadline: clock.now() + 2000 });
    const urgent = ask({ deadline: clock.now() + 500 });
    await clock.advance(499);
    expect(told(patient.done)).toBe("pending");
    await clock.advance(1);
    expect(told(urgent.done)).toBe("refusal deadline_exceeded");
    expect(urgent.done?.kind === "refusal" && urgent.done.journey.tried.length).toBe(1);
  });
});

describe("evacuation", () => {
  const fallSilent = (endpoint: EndpointState, now: number): void => {
    endpoint.silence.looking(now);
    endpoint.silence.looked(false, now);
  };

  test("moves everything without a byte that has somewhere to go, for free", async () => {
    const { clock, ask, dispatch, endpointOf, expectPeace } = scene(
      { g: { replies: [hangs] }, s: { tier: "silver", replies: [good] } },
      { budget: { earn: () => undefined, spend: () => false } },
    );
    const [one, two] = [ask(), ask()];
    await clock.advance(250);
    fallSilent(endpointOf("g"), clock.now());
    dispatch.evacuate(endpointOf("g"));
    await clock.advance(10);
    for (const asked of [one, two])
      expect(told(asked.done)).toBe("answer 200 by s because fallback-from-gold after 2");
    expectPeace();
  });

  test("leaves those alone who have nowhere to go, until they have", async () => {
    const { clock, ask, dispatch, endpointOf, fleet } = scene({
      g: { replies: [hangs] },
      s: { tier: "silver", replies: [good] },
    });
    endpointOf("s").setHealth("unhealthy", clock.now());
    const asked = ask();
    await clock.advance(250);
    fallSilent(endpointOf("g"), clock.now());
    dispatch.evacuate(endpointOf("g"));
    await clock.settle();
    expect(told(asked.done)).toBe("pending");
    fleet.named("s")?.setHealth("ok", clock.now());
    dispatch.evacuate(endpointOf("g"));
    await clock.advance(10);
    expect(told(asked.done)).toBe("answer 200 by s because fallback-from-gold after 2");
  });

  test("does not touch a stream that has begun", async () => {
    const { clock, ask, dispatch, endpointOf, wireOf } = scene({
      g: { replies: [{ headers: events, chunks: [[5, "data: 1\n\n"]], end: "never" }] },
      s: { tier: "silver", replies: [good] },
    });
    ask({ stream: true });
    await clock.advance(5);
    fallSilent(endpointOf("g"), clock.now());
    dispatch.evacuate(endpointOf("g"));
    await clock.settle();
    expect([wireOf("g").open(), wireOf("s").requests.length]).toEqual([1, 0]);
  });

  test("tells what is asked of an endpoint while it is, so that a look asks the same", async () => {
    const { clock, ask, dispatch, endpointOf } = scene({ g: { replies: [json("{}", 50)] } });
    ask({ path: "/v1/completions" });
    await clock.settle();
    expect(dispatch.askedOf(endpointOf("g"))).toMatchObject({ path: "/v1/completions", model: "model-of-g" });
    await clock.advance(50);
    expect(dispatch.askedOf(endpointOf("g"))).toBeUndefined();
  });
});

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
          const { clock, ask, dispatch, fleet, ends, wireOf, expectPeace } = scene(named, { seed });
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
            if (evacuates) for (const endpoint of fleet.endpoints) dispatch.evacuate(endpoint);
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
