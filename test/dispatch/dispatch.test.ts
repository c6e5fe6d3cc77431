// The loop between routing and the engines: failing over, deadlines, leaving, waiting, evacuation.

import { describe, expect, test } from "bun:test";
import { dispatchRule } from "../../src/dispatch/dispatch.ts";
import type { Dispatched } from "../../src/dispatch/dispatched.ts";
import type { EndpointState } from "../../src/fleet/endpoint-state.ts";
import { balancers } from "../../src/routing/balancers/balancers.ts";
import type { Reply } from "../support/fake-wire.ts";
import type { Engine } from "./scene.ts";
import { events, good, hangs, json, refused, scene, status, told } from "./scene.ts";

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
      {
        budget: { earn: () => undefined, spend: () => false, covers: () => false, spendOnHedge: () => false },
      },
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
      covers: () => false,
      spendOnHedge: () => false,
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
    expect(told(second.done)).toBe("answer 200 by g because local-full after 1");
  });
});

describe("a wait", () => {
  test("is told in the reason of the answer that it was for, and not of one that came from another tier", async () => {
    const { clock, ask, expectPeace } = scene({
      g: { slots: 1, replies: [json("{}", 100), json("{}", 100), status(400), good] },
      s: { tier: "silver", replies: [good] },
    });
    ask();
    const waited = ask();
    const streamed = ask({ stream: true, waitsUntil: clock.now() + 50 });
    await clock.advance(49);
    expect(told(streamed.done)).toBe("pending");
    await clock.advance(20);
    expect(told(streamed.done)).toBe("answer 200 by s because fallback-from-gold after 1");
    await clock.advance(150);
    expect(told(waited.done)).toBe("answer 200 by g because local-full after 1");
    const later = ask();
    await clock.advance(20);
    expect(told(later.done)).toBe("answer 400 by g because local-first after 1");
    expectPeace();
  });

  test("of a stream goes on past half of its first byte's time where no other tier has room", async () => {
    const { clock, ask, expectPeace } = scene({
      g: { slots: 1, replies: [json("{}", 100), good] },
      s: { tier: "silver", slots: 1, queueLimit: 0, replies: [json("{}", 500)] },
    });
    ask();
    ask({ ladder: [{ tier: "silver", balance: balancers["least-pressure"] }] });
    const streamed = ask({ stream: true, waitsUntil: clock.now() + 50 });
    await clock.advance(120);
    expect(told(streamed.done)).toBe("answer 200 by g because local-full after 1");
    await clock.advance(500);
    expectPeace();
  });

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
    const { clock, ask, evacuation, endpointOf, expectPeace } = scene(
      { g: { replies: [hangs] }, s: { tier: "silver", replies: [good] } },
      {
        budget: { earn: () => undefined, spend: () => false, covers: () => false, spendOnHedge: () => false },
      },
    );
    const [one, two] = [ask(), ask()];
    await clock.advance(250);
    fallSilent(endpointOf("g"), clock.now());
    evacuation.evacuate(endpointOf("g"));
    await clock.advance(10);
    for (const asked of [one, two])
      expect(told(asked.done)).toBe("answer 200 by s because fallback-from-gold after 2");
    expectPeace();
  });

  test("leaves those alone who have nowhere to go, until they have", async () => {
    const { clock, ask, evacuation, endpointOf, fleet } = scene({
      g: { replies: [hangs] },
      s: { tier: "silver", replies: [good] },
    });
    endpointOf("s").setHealth("unhealthy", clock.now());
    const asked = ask();
    await clock.advance(250);
    fallSilent(endpointOf("g"), clock.now());
    evacuation.evacuate(endpointOf("g"));
    await clock.settle();
    expect(told(asked.done)).toBe("pending");
    fleet.named("s")?.setHealth("ok", clock.now());
    evacuation.evacuate(endpointOf("g"));
    await clock.advance(10);
    expect(told(asked.done)).toBe("answer 200 by s because fallback-from-gold after 2");
  });

  test("does not touch a stream that has begun", async () => {
    const { clock, ask, evacuation, endpointOf, wireOf } = scene({
      g: { replies: [{ headers: events, chunks: [[5, "data: 1\n\n"]], end: "never" }] },
      s: { tier: "silver", replies: [good] },
    });
    ask({ stream: true });
    await clock.advance(5);
    fallSilent(endpointOf("g"), clock.now());
    evacuation.evacuate(endpointOf("g"));
    await clock.settle();
    expect([wireOf("g").open(), wireOf("s").requests.length]).toEqual([1, 0]);
  });

  test("tells what is asked of an endpoint while it is, so that a look asks the same", async () => {
    const { clock, ask, evacuation, endpointOf } = scene({ g: { replies: [json("{}", 50)] } });
    ask({ path: "/v1/completions" });
    await clock.settle();
    expect(evacuation.askedOf(endpointOf("g"))).toMatchObject({
      path: "/v1/completions",
      model: "model-of-g",
    });
    await clock.advance(50);
    expect(evacuation.askedOf(endpointOf("g"))).toBeUndefined();
  });
});

describe("the async lane", () => {
  const full = { slots: 1, queueLimit: 0, replies: [hangs] };

  test("takes what the ladder defers, before any attempt", async () => {
    const { ask, clock, expectPeace } = scene({ g: { replies: [good] } });
    const bronze = [{ tier: "bronze", balance: balancers["least-pressure"] }] as const;
    const asked = ask({ sla: "async", ladder: bronze, laneMs: 0 });
    await clock.settle();
    expect(told(asked.done)).toBe("defer");
    expect(asked.done?.journey).toMatchObject({ because: "deferred", tried: [] });
    expectPeace();
  });

  test("takes who finds all engines full, where the time is enough, and nobody else", async () => {
    const { ask, clock } = scene({ g: full });
    ask();
    const enough = ask({ laneMs: 1999 });
    const tooLong = ask({ laneMs: 2000 });
    const other = ask();
    await clock.settle();
    expect([enough, tooLong, other].map(({ done }) => told(done))).toEqual([
      "defer",
      "refusal tier_overloaded",
      "refusal tier_overloaded",
    ]);
  });

  test("takes whose attempts are used up, and tells of them", async () => {
    const bad = { replies: [status(500)] };
    const { ask, clock, expectPeace } = scene({ g1: bad, g2: bad, g3: bad, g4: bad });
    const asked = ask({ laneMs: 0 });
    const other = ask();
    await clock.advance(1000);
    expect(told(asked.done)).toBe("defer");
    expect(asked.done?.journey.tried).toHaveLength(3);
    expect(told(other.done)).toBe("refusal upstream_failed");
    expectPeace();
  });

  test("has no say in who can be answered", async () => {
    const { ask, clock } = scene({ g: { replies: [good] } });
    const asked = ask({ laneMs: 0 });
    await clock.advance(100);
    expect(told(asked.done)).toBe("answer 200 by g because local-first after 1");
  });
});

test("who wants to know is told of each slot that a request takes", async () => {
  const { ask, clock } = scene({ g1: { replies: [status(500)] }, g2: { replies: [good] } });
  const taken: string[] = [];
  ask({ taken: ({ spec }) => taken.push(spec.name) });
  await clock.advance(1000);
  expect(taken).toEqual(["g1", "g2"]);
});
