// Another model behind the same address: who named none does not notice, who named one is told.

import { describe, expect, test } from "bun:test";
import { Departure } from "../../src/base/departure.ts";
import { servesAnother } from "../../src/dispatch/hot-swap.ts";
import { peer } from "../../src/engines/peer.ts";
import type { Reply } from "../support/fake-wire.ts";
import { good, hangs, scene, status, streamed, told } from "./scene.ts";

const unknown = status(404, '{"error":{"message":"The model `x` does not exist."}}');
const relist = { models: ["swapped"], afterMs: 5 } as const;
const swapped = { replies: [unknown, good], relist };
/** Nothing may be paid for. */
const broke = { earn: () => undefined, covers: () => false, spend: () => false, spendOnHedge: () => false };

describe("a request that names no engine's model, where the engine does not know the name that we put in", () => {
  test("is answered there under the engine's new name, and that is no failure, no attempt and no retry", async () => {
    const { clock, ask, ends, wireOf, relists, expectPeace } = scene({ g: swapped }, { budget: broke });
    const asked = ask();
    await clock.advance(16);
    expect(told(asked.done)).toBe("answer 200 by g because local-first after 1");
    expect(wireOf("g").requests.map(({ text }) => text)).toEqual([
      '{"model":"model-of-g","messages":[]}',
      '{"model":"swapped","messages":[]}',
    ]);
    expect(asked.done).toMatchObject({ model: "swapped", journey: { tried: [], engineMs: 16 } });
    expect(ends.map(({ kind }) => kind)).toEqual(["client-error", "ok"]);
    expect(relists()).toBe(1);
    expectPeace();
  });

  test("gets its stream from the new model", async () => {
    const stream = streamed([1, "data: {}\n\n"], [2, "data: [DONE]\n\n"]);
    const { clock, ask } = scene({ g: { replies: [unknown, stream], relist } });
    const asked = ask({ stream: true });
    await clock.advance(10);
    expect(told(asked.done)).toBe("answer 200 by g because local-first after 1");
  });

  test("asks for no list where another request has found out while it was under way", async () => {
    const late: Reply = { chunks: [[20, "{}"]], status: 404 };
    const { clock, ask, relists } = scene({ g: { replies: [unknown, late, good], relist } });
    const [first, second] = [ask(), ask()];
    await clock.advance(40);
    for (const { done } of [first, second])
      expect(told(done)).toBe("answer 200 by g because local-first after 1");
    expect(relists()).toBe(1);
  });

  test("takes no more than its one slot, and whoever waits for a slot is answered too", async () => {
    const { clock, ask, endpointOf, expectPeace } = scene({ g: { ...swapped, slots: 1 } });
    const asked = [ask(), ask(), ask()];
    for (let ms = 0; ms < 60; ms += 1) {
      await clock.advance(1);
      expect(endpointOf("g").inflight).toBeLessThanOrEqual(1);
    }
    expect(asked.map(({ done }) => told(done).slice(0, 10))).toEqual(Array(3).fill("answer 200"));
    expectPeace();
  });

  test("is answered where a peer has forwarded it, which may go nowhere else", async () => {
    const { clock, ask } = scene({ g: swapped, h: { replies: [good] } });
    const asked = ask({ only: "g" });
    await clock.advance(20);
    expect(told(asked.done)).toBe("answer 200 by g because local-only after 1");
  });

  test("finds its way though every engine of the tier has been swapped", async () => {
    const { clock, ask, wireOf } = scene({ g: { ...swapped, slots: 1 }, h: { ...swapped, slots: 1 } });
    const asked = Array.from({ length: 2 }, () => ask());
    await clock.advance(100);
    expect(asked.map(({ done }) => told(done).slice(0, 10))).toEqual(["answer 200", "answer 200"]);
    expect(wireOf("g").requests.length + wireOf("h").requests.length).toBe(4);
  });

  for (const [what, engine, calls] of [
    ["the engine still lists the name", { replies: [unknown] }, 1],
    ["the engine does not know its new name either", { replies: [unknown], relist }, 2],
  ] as const) {
    test(`gets the engine's own 404 where ${what}`, async () => {
      const { clock, ask, wireOf, expectPeace } = scene({
        g: engine,
        s: { tier: "silver", replies: [good] },
      });
      const asked = ask();
      await clock.advance(20);
      expect(told(asked.done)).toBe("answer 404 by g because local-first after 1");
      expect(wireOf("g").requests.length).toBe(calls);
      expectPeace();
    });
  }

  test("gets the 404 by its deadline where the engine does not say what it serves", async () => {
    const { clock, ask } = scene({
      g: { replies: [unknown], relist: { models: ["swapped"], afterMs: 60_000 } },
    });
    const asked = ask({ deadline: clock.now() + 300 });
    await clock.advance(299);
    expect(asked.done).toBeUndefined();
    await clock.advance(1);
    expect(told(asked.done)).toBe("answer 404 by g because local-first after 1");
  });

  test("ends at once when its caller leaves meanwhile, and is not sent again", async () => {
    const { clock, ask, wireOf } = scene({ g: { replies: [unknown, hangs], relist } });
    const asked = ask();
    await clock.advance(3);
    asked.leave();
    await clock.advance(0);
    expect(asked.done).toBeDefined();
    await clock.advance(100);
    expect(wireOf("g").requests.length).toBe(1);
  });
});

test("an engine behind a peer is that peer's to ask: its 404 is the last word here", async () => {
  const { clock, endpointOf, wireOf } = scene({ g: swapped });
  const link = { client: wireOf("g").client, dialect: peer, peer: endpointOf("g") };
  expect(await servesAnother("gone", endpointOf("g"), link, 100, clock, new Departure())).toBe(false);
});

test("who names the model that is gone gets the engine's own 404, and nobody is asked for a list", async () => {
  const { clock, ask, relists, expectPeace } = scene({ g: swapped });
  const asked = ask({ model: "model-of-g", modelName: "model-of-g" });
  await clock.advance(20);
  expect(told(asked.done)).toBe("answer 404 by g because local-first after 1");
  expect(relists()).toBe(0);
  expectPeace();
});
