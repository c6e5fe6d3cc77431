// What a host says of itself: that it comes back as it was said, in few bytes, and that nothing hostile gets through.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { HostFacts } from "../../src/fleet/advert.ts";
import { advertEveryMs, advertOf, advertRule, readAdvert } from "../../src/fleet/advert.ts";
import type { EndpointSpec } from "../../src/fleet/endpoint.ts";
import { createFleet } from "../../src/fleet/fleet.ts";

const now = 1_234_567.8;
const host: HostFacts = {
  name: "gold-1",
  public: "http://10.0.1.10:8010",
  zone: "us-east-1a",
  draining: false,
  upMs: 86_400_000.4,
  intents: { entries: 123_456, epoch: 4_000_000_000 },
};
const spec: EndpointSpec = {
  name: "gold-1/vllm",
  tier: "gold",
  locality: "local",
  slots: 64,
  queueLimit: 64,
};

function twoEngines() {
  return createFleet([
    { spec, identity: "1", models: ["Qwen/Qwen2.5-3B-Instruct-AWQ"] },
    {
      spec: { ...spec, name: "gold-1/vllm-2", tier: "silver", slots: 16 },
      identity: "2",
      models: ["Qwen/Qwen2.5-7B-Instruct"],
    },
  ]);
}
const overTheWire = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
const said = (fleet = twoEngines(), facts = host) =>
  readAdvert(overTheWire(advertOf(fleet.local, facts, now)));

describe("an advert", () => {
  test("keeps an engine whose own figures are beyond belief", () => {
    const fleet = twoEngines();
    for (const { setGauges } of fleet.local) {
      setGauges({ running: 2.5, waiting: 1e9, kvUsage: 1.2 }, now - 1000);
      setGauges({ running: -3, waiting: 7.25, kvUsage: -1 }, now);
    }
    expect(said(fleet)?.engines.map(({ load }) => [load.inflight, load.waiting, load.kvPercent])).toEqual([
      [0, 8, 0],
      [0, 8, 0],
    ]);
    for (const { setGauges } of fleet.local) setGauges({ running: 2.5, waiting: 1e9, kvUsage: 1.2 }, now);
    expect(said(fleet)?.engines.map(({ load }) => [load.inflight, load.waiting, load.kvPercent])).toEqual([
      [3, 1_000_000, 100],
      [3, 1_000_000, 100],
    ]);
  });

  test("says of two engines in at most 300 bytes all that routing asks", () => {
    const fleet = twoEngines();
    const [first] = fleet.local;
    for (let call = 0; call < 10; call += 1) first?.begin("m", true, fleet.nextPick(), now);
    for (let call = 0; call < 6; call += 1)
      first?.end({ kind: "ok", model: "m", stream: true, firstByteMs: 9, totalMs: 90 }, now, () => 0.5);
    first?.enterRoom({}, Number.POSITIVE_INFINITY, now);
    first?.setGauges({ running: 7, waiting: 0, kvUsage: 0.123 }, now);
    expect(JSON.stringify(advertOf(fleet.local, host, now)).length).toBeLessThanOrEqual(300);
    expect(said(fleet)).toEqual({
      public: "http://10.0.1.10:8010",
      zone: "us-east-1a",
      draining: false,
      upMs: 86_400_000,
      intents: { entries: 123_456, epoch: 4_000_000_000 },
      engines: [
        {
          name: "vllm",
          tier: "gold",
          models: ["Qwen/Qwen2.5-3B-Instruct-AWQ"],
          slots: 64,
          state: "ok",
          // The engine serves somebody else as well, and a median is the upper end of its bucket.
          load: { at: 1_234_568, inflight: 7, waiting: 1, kvPercent: 12, firstByteMs: 11 },
        },
        {
          name: "vllm-2",
          tier: "silver",
          models: ["Qwen/Qwen2.5-7B-Instruct"],
          slots: 16,
          state: "ok",
          load: { at: 1_234_568, inflight: 0, waiting: 0, kvPercent: undefined, firstByteMs: undefined },
        },
      ],
    });
  });

  test("leaves out what there is not: zone, drain, intents, models that nobody has named", () => {
    const fleet = createFleet([{ spec, identity: "1", models: undefined }]);
    const bare = { ...host, zone: undefined, intents: undefined };
    expect(said(fleet, bare)).toMatchObject({ zone: undefined, draining: false, intents: undefined });
    expect(said(fleet, bare)?.engines[0]?.models).toEqual([]);
    expect(said(fleet, { ...bare, draining: true })?.draining).toBe(true);
    expect(said(createFleet([]))?.engines).toEqual([]);
    expect(said()).not.toHaveProperty("short");
  });

  test("says of which tiers its router is short, and of those that a reader does not know nothing is understood", () => {
    expect(said(twoEngines(), { ...host, short: ["silver"] })?.short).toEqual(["silver"]);
    const wire = advertOf([], host, now);
    expect(readAdvert({ ...wire, short: ["bronze", "copper", "gold", 7, "gold"] })?.short).toEqual([
      "gold",
      "bronze",
    ]);
    for (const short of ["gold", { gold: true }, [], [["gold"]]])
      expect(readAdvert({ ...wire, short })).not.toHaveProperty("short");
  });

  test("tells an engine that takes nothing: unhealthy, silent, or refused by its breaker for every model", () => {
    const state = (prepare: (endpoint: ReturnType<typeof twoEngines>["local"][number]) => void) => {
      const fleet = createFleet([{ spec, identity: "1", models: ["m", "n"] }]);
      for (const endpoint of fleet.local) prepare(endpoint);
      return said(fleet)?.engines[0]?.state;
    };
    const fail = (endpoint: ReturnType<typeof twoEngines>["local"][number], model: string): void => {
      for (let call = 0; call < 3; call += 1) {
        endpoint.begin(model, false, 1, now);
        endpoint.end({ kind: "refused", model, stream: false, totalMs: 1 }, now, () => 0.5);
      }
    };
    expect(state((endpoint) => endpoint.setHealth("unhealthy", now))).toBe("unhealthy");
    expect(
      state((endpoint) => {
        endpoint.begin("m", true, 1, now - 1000);
        endpoint.silence.looking(now - 500);
        endpoint.silence.looked(false, now);
      }),
    ).toBe("silent");
    expect(state((endpoint) => fail(endpoint, "m"))).toBe("ok");
    expect(
      state((endpoint) => {
        fail(endpoint, "m");
        fail(endpoint, "n");
      }),
    ).toBe("open");
  });

  test("of more engines and models than it may name stays below 8 KB, and the first are named", () => {
    const fleet = createFleet(
      Array.from({ length: 40 }, (_, index) => ({
        spec: { ...spec, name: `gold-1/${"e".repeat(60)}${index}` },
        identity: "1",
        models: Array.from({ length: 50 }, (_none, model) => `model-${model}-${"x".repeat(100)}`),
      })),
    );
    expect(JSON.stringify(advertOf(fleet.local, host, now)).length).toBeLessThan(8 * 1024);
    const heard = said(fleet);
    expect(heard?.engines.length).toBe(advertRule.enginesMost);
    expect(heard?.engines[0]?.models[0]).toBe(`model-0-${"x".repeat(100)}`);
  });

  test("of a later version that we may read is read, with what we do not know passed over", () => {
    const wire = advertOf(twoEngines().local, host, now);
    const later = {
      ...wire,
      mood: "bright",
      engines: [...wire.engines.map((row) => [...row, "new"]), { a: 1 }, ["x", "platinum", [], 1, 0, 0]],
    };
    expect(readAdvert(overTheWire(later))).toEqual(said());
    expect(readAdvert({ ...wire, v: 2 })).toBeUndefined();
  });

  test("with a trouble that we have no word for is of an engine in trouble", () => {
    const row = ["vllm", "gold", ["m"], 4, 0, 0, null, null, "on-fire"];
    const wire = { ...advertOf([], host, now), engines: [row] };
    expect(readAdvert(wire)?.engines[0]?.state).toBe("unhealthy");
  });

  for (const [what, change] of [
    ["a public address that is none", { public: "file:///etc/passwd" }],
    ["an address with a path", { public: "http://10.0.0.1:8010/x" }],
    ["an address without a port that can be dialled", { public: "http://10.0.0.1:0" }],
    ["an address with a port beyond the last", { public: "http://10.0.0.1:65536" }],
    ["an address with a user", { public: "http://a@10.0.0.1:8010" }],
    ["a zone that breaks a header", { zone: "a\r\nb" }],
    ["no time", { at: undefined }],
    ["a time that is no number", { at: "1" }],
    ["no engines", { engines: undefined }],
  ] as const) {
    test(`with ${what} is none`, () => {
      expect(readAdvert({ ...advertOf([], host, now), ...change })).toBeUndefined();
    });
  }

  for (const [what, row] of [
    ["a name that breaks a header", ["a\nb", "gold", [], 4, 0, 0]],
    ["a name with a slash", ["a/b", "gold", [], 4, 0, 0]],
    ["a name that is too long", ["a".repeat(65), "gold", [], 4, 0, 0]],
    ["no slots", ["a", "gold", [], 0, 0, 0]],
    ["negative load", ["a", "gold", [], 4, -1, 0]],
    ["a load that is no number", ["a", "gold", [], 4, Number.NaN, 0]],
    ["a cache fuller than full", ["a", "gold", [], 4, 0, 0, 101]],
  ] as const) {
    test(`keeps its other engines beside one with ${what}`, () => {
      const good = ["good", "gold", ["m"], 4, 0, 0];
      const heard = readAdvert({ ...advertOf([], host, now), engines: [row, good] });
      expect(heard?.engines.map(({ name }) => name)).toEqual(["good"]);
    });
  }

  test("of any shape whatever never throws, and what is read is within bounds", () => {
    const anything = fc.anything({ withNullPrototype: true, maxDepth: 4 });
    const nearly = fc.record(
      {
        v: fc.constantFrom<unknown>(1, 0, 2, -1, "1", null),
        at: fc.oneof(fc.nat(), anything),
        up_ms: fc.oneof(fc.nat(), anything),
        public: fc.oneof(fc.constant("http://h:1"), anything),
        zone: fc.oneof(fc.constant("z"), anything),
        draining: anything,
        intents: anything,
        clearings: fc.oneof(anything, fc.array(fc.tuple(fc.oneof(fc.nat(), anything), anything, anything))),
        engines: fc.oneof(
          anything,
          fc.array(
            fc.tuple(
              fc.oneof(fc.string(), fc.constant("e")),
              fc.oneof(fc.constant("gold"), anything),
              fc.oneof(fc.array(fc.oneof(fc.string(), anything)), anything),
              fc.oneof(fc.nat(), anything),
              fc.oneof(fc.nat(), anything),
              fc.oneof(fc.nat(), anything),
              anything,
              anything,
              anything,
            ),
            { maxLength: 30 },
          ),
        ),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(fc.oneof(anything, nearly), (value) => {
        const advert = readAdvert(value);
        if (advert === undefined) return;
        expect(advert.engines.length).toBeLessThanOrEqual(advertRule.enginesMost);
        expect(advert.clearings?.length ?? 0).toBeLessThanOrEqual(8);
        for (const { serial } of advert.clearings ?? []) expect(serial).toBeGreaterThan(0);
        for (const { name, slots, load, models } of advert.engines) {
          expect(name).toMatch(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);
          expect(slots).toBeGreaterThan(0);
          expect(load.inflight + load.waiting).toBeGreaterThanOrEqual(0);
          for (const model of models) expect(model.length).toBeLessThanOrEqual(advertRule.modelNameMost);
        }
      }),
      { numRuns: 500 },
    );
  });
});

test("a host of a small fleet speaks four times a second, of a large one once", () => {
  expect([1, 32, 33, 500].map(advertEveryMs)).toEqual([250, 250, 1000, 1000]);
});
