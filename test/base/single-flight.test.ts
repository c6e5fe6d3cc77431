// Many ask, one computes, and it goes on for as long as anybody waits.

import { describe, expect, test } from "bun:test";
import type { Leaving } from "../../src/base/departure.ts";
import type { Flown } from "../../src/base/single-flight.ts";
import { createSingleFlight } from "../../src/base/single-flight.ts";
import { virtualClock } from "../support/virtual-clock.ts";

function flightsOf() {
  const clock = virtualClock();
  const flights = createSingleFlight<string>(clock);
  const computed: (PromiseWithResolvers<string> & { abandoned: Leaving })[] = [];
  const ask = (key: string, leftMs = 1000) => {
    const caller = new AbortController();
    const asked: { flown?: Flown<string>; failed?: unknown; leave(): void } = { leave: () => caller.abort() };
    const asker = { left: caller.signal, deadline: clock.now() + leftMs };
    const compute = (abandoned: Leaving): Promise<string> => {
      const one = { ...Promise.withResolvers<string>(), abandoned };
      abandoned.addEventListener("abort", () => one.resolve("abandoned"));
      computed.push(one);
      return one.promise;
    };
    flights.ask(key, asker, compute).then(
      (flown) => {
        asked.flown = flown;
      },
      (error: unknown) => {
        asked.failed = error;
      },
    );
    return asked;
  };
  return { clock, ask, computed };
}

describe("a single flight", () => {
  test("computes once for a hundred who ask the same, and once more for one who asks something else", async () => {
    const { clock, ask, computed } = flightsOf();
    const askers = Array.from({ length: 100 }, () => ask("same"));
    ask("other");
    expect(computed).toHaveLength(2);
    computed[0]?.resolve("value");
    await clock.settle();
    expect(askers.map(({ flown }) => flown)).toEqual(
      askers.map((_, index) => ({ end: "value", value: "value", began: index === 0 })),
    );
    expect(clock.pending()).toBe(0);
  });

  test("computes anew after it has landed", async () => {
    const { clock, ask, computed } = flightsOf();
    ask("key");
    computed[0]?.resolve("first");
    await clock.settle();
    ask("key");
    expect(computed).toHaveLength(2);
  });

  test("goes on for the others when the first leaves, and ends when the last one does", async () => {
    const { clock, ask, computed } = flightsOf();
    const [first, second, third] = [ask("key"), ask("key"), ask("key")];
    first.leave();
    await clock.settle();
    expect(first.flown).toEqual({ end: "left", began: true });
    expect(computed[0]?.abandoned.aborted).toBe(false);
    second.leave();
    third.leave();
    await clock.settle();
    expect(computed[0]?.abandoned.aborted).toBe(true);
    expect(second.flown).toEqual({ end: "left", began: false });
    expect(third.flown).toEqual({ end: "value", value: "abandoned", began: false });
    const next = ask("key");
    expect(computed).toHaveLength(2);
    computed[1]?.resolve("value");
    await clock.settle();
    expect(next.flown).toEqual({ end: "value", value: "value", began: true });
    expect(clock.pending()).toBe(0);
  });

  test("lets one who joined go at its own deadline, and begins anew for whoever comes after all have gone", async () => {
    const { clock, ask, computed } = flightsOf();
    const first = ask("key", 1000);
    const joined = ask("key", 50);
    await clock.advance(49);
    expect(joined.flown).toBeUndefined();
    await clock.advance(1);
    expect(joined.flown).toEqual({ end: "late" });
    first.leave();
    await clock.settle();
    expect(computed[0]?.abandoned.aborted).toBe(true);
  });

  test("the last one late ends it", async () => {
    const { clock, ask, computed } = flightsOf();
    const first = ask("key");
    ask("key", 50);
    first.leave();
    await clock.advance(50);
    expect(computed[0]?.abandoned.aborted).toBe(true);
    expect(clock.pending()).toBe(0);
  });

  test("fails for all who wait, and is forgotten", async () => {
    const { clock, ask, computed } = flightsOf();
    const [first, second] = [ask("key"), ask("key")];
    computed[0]?.reject(new Error("bug"));
    await clock.settle();
    expect([String(first.failed), String(second.failed)]).toEqual(["Error: bug", "Error: bug"]);
    ask("key");
    expect(computed).toHaveLength(2);
  });

  test("one who has left before asking ends what nobody else waits for", async () => {
    const clock = virtualClock();
    const flights = createSingleFlight<string>(clock);
    const asker = { left: AbortSignal.abort(), deadline: clock.now() + 1000 };
    const flown = await flights.ask("key", asker, async (abandoned) => String(abandoned.aborted));
    expect(flown).toMatchObject({ end: "value" });
  });
});
