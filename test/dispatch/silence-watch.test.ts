// From a hung engine to everybody having left it, in virtual time.

import { describe, expect, test } from "bun:test";
import type { Evacuation } from "../../src/dispatch/evacuation.ts";
import { watchSilence } from "../../src/dispatch/silence-watch.ts";
import type { Asked } from "../../src/engines/look.ts";
import type { EndpointState } from "../../src/fleet/endpoint-state.ts";
import { createFleet } from "../../src/fleet/fleet.ts";
import { silenceRule } from "../../src/fleet/silence.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const question: Asked = { path: "/v1/embeddings", model: "m" };
const spec = { name: "g", tier: "gold", locality: "local", slots: 4, queueLimit: 4 } as const;

function scene(alive: () => boolean) {
  const clock = virtualClock();
  const start = clock.now();
  const fleet = createFleet([{ spec, identity: "g", models: ["m"] }]);
  const [endpoint] = fleet.endpoints;
  if (endpoint === undefined) throw new Error("no endpoint");
  let asked: Asked | undefined;
  const looks: (Asked & { at: number; limitMs: number })[] = [];
  const evacuated: number[] = [];
  const silentAt: number[] = [];
  const evacuation: Evacuation = {
    enlist: () => () => undefined,
    evacuate: (_: EndpointState) => void evacuated.push(clock.now() - start),
    askedOf: () => asked,
  };
  const stop = watchSilence({
    fleet,
    evacuation,
    clock,
    look(_endpoint, told, limitMs) {
      looks.push({ ...told, at: clock.now() - start, limitMs });
      const answered = alive();
      return new Promise((resolve) => clock.after(answered ? 1 : limitMs, () => resolve(answered)));
    },
    onSilent: () => silentAt.push(clock.now() - start),
  });
  const begin = (): void => {
    asked = question;
    endpoint.begin("m", false, 1, clock.now());
  };
  const end = (): void => {
    asked = undefined;
    endpoint.end({ kind: "cancelled", model: "m", stream: false, totalMs: 1 }, clock.now(), () => 0);
  };
  return { clock, endpoint, looks, evacuated, silentAt, stop, begin, end };
}

describe("the silence watch", () => {
  test("looks once the limit has passed, with a question of the sort that is owed, and evacuates after as long again", async () => {
    const { clock, begin, looks, silentAt, evacuated } = scene(() => false);
    begin();
    await clock.advance(3 * silenceRule.unknownWholeMs);
    expect(looks).toEqual([
      { ...question, at: silenceRule.unknownWholeMs, limitMs: silenceRule.unknownWholeMs },
    ]);
    expect(silentAt).toEqual([2 * silenceRule.unknownWholeMs]);
    expect(evacuated[0]).toBe(2 * silenceRule.unknownWholeMs);
  });

  test("evacuates again at every tick while the silence lasts, for those who had nowhere to go", async () => {
    const { clock, begin, endpoint, evacuated } = scene(() => false);
    begin();
    await clock.advance(2 * silenceRule.unknownWholeMs + 100);
    expect(evacuated.length).toBeGreaterThanOrEqual(4);
    endpoint.heard(clock.now());
    const before = evacuated.length;
    await clock.advance(100);
    expect(evacuated.length).toBe(before);
  });

  test("leaves an engine alone that answers the look, and looks again later", async () => {
    const { clock, begin, endpoint, looks, evacuated } = scene(() => true);
    begin();
    await clock.advance(silenceRule.unknownWholeMs + 2000);
    expect(endpoint.silent).toBe(false);
    expect(evacuated).toEqual([]);
    expect(looks.length).toBeGreaterThanOrEqual(2);
    expect(looks.length).toBeLessThanOrEqual(5);
  });

  test("looks within a tick when a caller left without a byte, though nothing else is in flight", async () => {
    const { clock, begin, end, looks } = scene(() => false);
    begin();
    await clock.advance(50);
    end();
    await clock.advance(25);
    expect(looks).toMatchObject([question]);
  });

  test("looks at nothing that owes nothing, and at nothing once it is stopped", async () => {
    const { clock, begin, looks, stop } = scene(() => false);
    await clock.advance(10_000);
    expect(looks).toEqual([]);
    begin();
    stop();
    await clock.advance(10_000);
    expect(looks).toEqual([]);
    expect(clock.pending()).toBe(0);
  });
});
