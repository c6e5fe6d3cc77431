// What is told of clearings and done about them: nobody misses one, whenever it listens, and nobody does one twice.

import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { advertOf, readAdvert } from "../../src/fleet/advert.ts";
import type { Clearing } from "../../src/fleet/clearing.ts";
import { clearingsRule, createClearings, wider } from "../../src/fleet/clearings.ts";
import type { EndpointSpec } from "../../src/fleet/endpoint.ts";
import { createFleet } from "../../src/fleet/fleet.ts";

const now = 1_000_000;
const all: Clearing = { cache: undefined, archetype: undefined, prefix: undefined };
const intents: Clearing = { ...all, cache: "intents" };
const results: Clearing = { ...all, cache: "results" };
const guard: Clearing = { ...intents, archetype: "guard" };
const host = {
  name: "h",
  public: "http://h:1",
  zone: undefined,
  draining: false,
  upMs: 1,
  intents: undefined,
};

/** What of it a peer reads out of the advert. */
const heardOf = (from: ReturnType<typeof createClearings>, at = now) =>
  readAdvert(JSON.parse(JSON.stringify(advertOf([], { ...host, clearings: from.rows(at) }, at))))?.clearings;

const archetypes = ["guard", "wolf"] as const;
const clearing: fc.Arbitrary<Clearing> = fc.record({
  cache: fc.constantFrom(undefined, "intents" as const, "results" as const),
  archetype: fc.constantFrom(undefined, ...archetypes),
  prefix: fc.oneof(
    fc.constant(undefined),
    fc.string({ unit: fc.constantFrom("a", "b", '"'), maxLength: 80 }),
  ),
});
interface Entry {
  readonly cache: "intents" | "results";
  readonly archetype: string | undefined;
  readonly key: string;
}
const goes = (entry: Entry, { cache, archetype, prefix = "" }: Clearing): boolean =>
  (cache ?? entry.cache) === entry.cache &&
  (archetype ?? entry.archetype) === entry.archetype &&
  entry.key.startsWith(prefix);
/** Of each cache and archetype, one whose key is the prefix of this clearing, and goes by it if any does. */
const entriesFor = ({ prefix = "" }: Clearing): Entry[] => [
  { cache: "results", archetype: undefined, key: prefix },
  ...archetypes.map((archetype) => ({ cache: "intents" as const, archetype, key: prefix })),
];

describe("a clearing", () => {
  for (const [what, one, other, both] of [
    ["the same", guard, guard, guard],
    ["an archetype and its cache", guard, intents, intents],
    ["an archetype without its cache named, and its cache", { ...guard, cache: undefined }, intents, intents],
    ["two archetypes", guard, { ...guard, archetype: "wolf" }, intents],
    ["two caches", intents, results, all],
    ["two prefixes", { ...results, prefix: "ab" }, { ...results, prefix: "ac" }, { ...results, prefix: "a" }],
    ["a prefix and none", { ...results, prefix: "ab" }, results, results],
    ["two prefixes that have nothing in common", { ...all, prefix: "a" }, { ...all, prefix: "b" }, all],
  ] as const) {
    test(`that stands for ${what} clears what both do, and no cache beyond`, () => {
      expect(wider(one, other)).toEqual(both);
      expect(wider(other, one)).toEqual(both);
    });
  }

  test("is heard once, again from another run, and anew by who has not heard of its router", () => {
    const from = createClearings();
    const by = createClearings();
    expect(by.hear("a", "1", heardOf(from))).toEqual([]);
    from.announce(guard, now);
    expect(by.hear("a", "1", heardOf(from))).toEqual([guard]);
    expect(by.hear("a", "1", heardOf(from))).toEqual([]);
    from.announce(results, now + 1);
    expect(by.hear("a", "1", heardOf(from))).toEqual([results]);
    expect(by.hear("a", "2", heardOf(from))).toEqual([guard, results]);
    expect(createClearings().hear("a", "2", heardOf(from))).toEqual([guard, results]);
    by.forget("a");
    expect(by.hear("a", "2", heardOf(from))).toEqual([guard, results]);
  });

  test("is told for ten minutes", () => {
    const from = createClearings();
    from.announce(guard, now);
    from.announce(results, now + 1);
    expect(heardOf(from, now + clearingsRule.keptMs - 1)).toHaveLength(2);
    expect(heardOf(from, now + clearingsRule.keptMs)).toEqual([{ serial: 2, clearing: results }]);
    expect(heardOf(from, now + clearingsRule.keptMs + 1)).toBeUndefined();
  });

  test("of any sort is missed by no peer, whenever it listens and however many there were since", () => {
    // Seldom enough that more come in between than are told one by one.
    const step = fc.record({ clearing, listens: fc.nat(9).map((lot) => lot === 0) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
        const from = createClearings();
        const by = createClearings();
        let due: Entry[] = [];
        for (const [index, { clearing: asked, listens }] of steps.entries()) {
          from.announce(asked, now);
          due.push(...entriesFor(asked).filter((entry) => goes(entry, asked)));
          expect(from.rows(now).length).toBeLessThanOrEqual(clearingsRule.toldMost);
          if (!listens && index < steps.length - 1) continue;
          const done = by.hear("a", "1", heardOf(from));
          expect(due.filter((entry) => !done.some((each) => goes(entry, each)))).toEqual([]);
          due = [];
        }
      }),
      { numRuns: 200 },
    );
  });

  test("of a thousand and more routers is forgotten for those heard of longest ago, and done once more", () => {
    const from = createClearings();
    from.announce(guard, now);
    const told = from.rows(now);
    const by = createClearings();
    for (let owner = 0; owner <= clearingsRule.ownersMost; owner += 1) by.hear(`${owner}`, "1", told);
    expect(by.hear("1", "1", told)).toEqual([]);
    expect(by.hear("0", "1", told)).toEqual([guard]);
  });
});

describe("an advert with clearings", () => {
  test("stays below 8 KB, beside the most engines and models, whatever the prefixes", () => {
    const spec: EndpointSpec = { name: "", tier: "silver", locality: "local", slots: 999_999, queueLimit: 1 };
    const fleet = createFleet(
      Array.from({ length: 20 }, (_, index) => ({
        spec: { ...spec, name: `h/${"e".repeat(62)}${index}` },
        identity: "1",
        models: Array.from({ length: 50 }, (_none, model) => `"${model}"`.repeat(20)),
      })),
    );
    for (const { setHealth, setGauges } of fleet.local) {
      setHealth("unhealthy", now);
      setGauges({ running: 999_999, waiting: 999_999, kvUsage: 1 }, now);
    }
    const from = createClearings();
    for (let serial = 0; serial < 8; serial += 1)
      from.announce({ ...guard, archetype: "g".repeat(64), prefix: "\u0001".repeat(500) }, now);
    const facts = {
      ...host,
      public: `http://${"h".repeat(280)}:65535`,
      zone: "z".repeat(64),
      draining: true,
      upMs: 1e12,
      intents: { entries: 1e9, epoch: 4e9 },
      clearings: from.rows(now),
    };
    expect(JSON.stringify(advertOf(fleet.local, facts, now)).length).toBeLessThan(8 * 1024);
    expect(facts.clearings).toHaveLength(8);
  });

  test("is read where rows have grown, and without those that make no sense", () => {
    const rows: unknown = [
      [3, "results", null, "a", "later"],
      [4, "plans"],
      [0],
      ["5"],
      { serial: 6 },
      [7, null, 8],
      [9, "intents", null, "x".repeat(65)],
      [10],
    ];
    expect(readAdvert({ ...advertOf([], host, now), clearings: rows })?.clearings).toEqual([
      { serial: 3, clearing: { ...results, prefix: "a" } },
      { serial: 10, clearing: all },
    ]);
    expect(readAdvert({ ...advertOf([], host, now), clearings: "all" })?.clearings).toBeUndefined();
  });
});
