// Peers in the fleet: who is there, what is kept of them, and what is forgotten.

import { describe, expect, test } from "bun:test";
import type { Advert } from "../../src/fleet/advert.ts";
import type { Fleet } from "../../src/fleet/fleet.ts";
import { available, createFleet } from "../../src/fleet/fleet.ts";
import type { PeerFacts } from "../../src/fleet/peer-table.ts";
import { advertWith, engineThere } from "../support/adverts.ts";

const now = 1_000_000;
const engine = engineThere();
const advert = advertWith([engine], { zone: "a" });
const facts = (name: string, more: Partial<PeerFacts> = {}): PeerFacts => ({
  name,
  boot: "1",
  state: "alive",
  advert,
  advertAt: now,
  ...more,
});

const home = { name: "here", zone: "a" };
const local = {
  spec: { name: "here/vllm", tier: "gold", locality: "local", slots: 4, queueLimit: 4 },
  identity: "1",
  models: ["m"],
} as const;
const withLoad = (inflight: number, at: number): Advert => ({
  ...advert,
  engines: [{ ...engine, load: { ...engine.load, inflight, at } }],
});
const shortDoor: Advert = { ...advert, engines: [], short: ["gold"] };
const names = (endpoints: Fleet["endpoints"]): string[] => endpoints.map(({ spec }) => spec.name);

describe("a peer", () => {
  test("brings its endpoints beside this host's own, by zone, and they are found by name and tier", () => {
    const fleet = createFleet([local], home);
    expect(fleet.setPeer(facts("near"), now)).toBe(true);
    fleet.setPeer(facts("far", { advert: { ...advert, zone: "b" } }), now);
    expect(names(fleet.endpoints)).toEqual(["here/vllm", "near/vllm", "far/vllm"]);
    const { local: here, near, far } = fleet.places("gold");
    expect([names(here), names(near), names(far)]).toEqual([["here/vllm"], ["near/vllm"], ["far/vllm"]]);
    expect(names(fleet.local)).toEqual(["here/vllm"]);
    expect(names(fleet.peers)).toEqual(["near/vllm", "far/vllm"]);
    expect(names(fleet.inTier("gold"))).toEqual(["here/vllm", "near/vllm", "far/vllm"]);
    expect(fleet.named("far/vllm")?.spec).toMatchObject({ locality: "peer", slots: 8, queueLimit: 0 });
    expect(fleet.named("far/vllm")?.peer?.host).toMatchObject({
      name: "far",
      public: "http://10.0.0.2:8010",
    });
  });

  test("is near whatever its zone, where this host does not know its own", () => {
    const fleet = createFleet([], { name: "here", zone: undefined });
    fleet.setPeer(facts("p", { advert: { ...advert, zone: "b" } }), now);
    expect(names(fleet.places("gold").near)).toEqual(["p/vllm"]);
  });

  test("keeps what we know of it while its run and address stay, and takes over its new facts", () => {
    const fleet = createFleet([local], home);
    fleet.setPeer(facts("p"), now);
    const before = fleet.named("p/vllm");
    before?.begin("m", false, 1, now);
    const more = { ...advert, engines: [{ ...engine, slots: 16, models: ["n"] }] };
    expect(fleet.setPeer(facts("p", { advert: more }), now)).toBe(false);
    fleet.reconfigure([]);
    const after = fleet.named("p/vllm");
    expect(after).toBe(before);
    expect([after?.inflight, after?.spec.slots, after?.models]).toEqual([1, 16, ["n"]]);
  });

  for (const [what, change] of [
    ["with another run of its program", { boot: "2" }],
    ["at another address", { advert: { ...advert, public: "http://10.0.0.3:8010" } }],
  ] as const) {
    test(`${what} is another: nothing is kept, and it starts slowly`, () => {
      const fleet = createFleet([], home);
      fleet.setPeer(facts("p"), now);
      const before = fleet.named("p/vllm");
      expect(fleet.setPeer(facts("p", change), now + 1)).toBe(true);
      const after = fleet.named("p/vllm");
      expect(after).not.toBe(before);
      expect(beforeOthers(fleet, now + 1)).toBe(1);
    });
  }

  for (const state of ["dead", "left"] as const) {
    test(`that is ${state} is gone at once, with its endpoints`, () => {
      const fleet = createFleet([local], home);
      fleet.setPeer(facts("p"), now);
      const gone = fleet.named("p/vllm");
      gone?.begin("m", false, 1, now);
      expect(fleet.setPeer(facts("p", { state }), now)).toBe(true);
      expect(names(fleet.endpoints)).toEqual(["here/vllm"]);
      expect(fleet.named("p/vllm")).toBeUndefined();
      gone?.end({ kind: "reset", model: "m", stream: false, totalMs: 1 }, now, () => 0.5);
      expect(gone?.inflight).toBe(0);
      expect(fleet.setPeer(facts("p", { state }), now)).toBe(false);
    });
  }

  test("whose engine goes or changes its tier is arranged anew", () => {
    const fleet = createFleet([], home);
    fleet.setPeer(facts("p"), now);
    const silver = { ...advert, engines: [{ ...engine, tier: "silver" as const }] };
    expect(fleet.setPeer(facts("p", { advert: silver }), now)).toBe(true);
    expect([names(fleet.inTier("gold")), names(fleet.inTier("silver"))]).toEqual([[], ["p/vllm"]]);
    expect(fleet.setPeer(facts("p", { advert: { ...advert, engines: [] } }), now)).toBe(true);
    expect(names(fleet.peers)).toEqual([]);
  });

  test("that has not spoken yet has no endpoints, and gets them with its first advert", () => {
    const fleet = createFleet([], home);
    expect(fleet.setPeer(facts("p", { advert: undefined }), now)).toBe(false);
    expect(fleet.setPeer(facts("p"), now)).toBe(true);
    expect(fleet.named("p/vllm")?.peer?.host.public).toBe(advert.public);
    // An advert that we cannot read takes nothing back.
    fleet.setPeer(facts("p", { advert: undefined, state: "suspect" }), now);
    expect(fleet.named("p/vllm")?.peer?.host.suspect).toBe(true);
  });

  test("of our own name, or of a name that no configuration allows, is none", () => {
    const fleet = createFleet([], home);
    for (const name of ["here", "a/b", "", "x".repeat(65), "a\nb"]) fleet.setPeer(facts(name), now);
    expect(fleet.endpoints).toEqual([]);
  });
});

describe("a peer's endpoint", () => {
  const one = (): { fleet: Fleet; endpoint: NonNullable<ReturnType<Fleet["named"]>> } => {
    const fleet = createFleet([], home);
    fleet.setPeer(facts("p"), now);
    const endpoint = fleet.named("p/vllm");
    if (endpoint === undefined) throw new Error("the peer has no endpoint");
    return { fleet, endpoint };
  };

  test("is as pressed as its host says, and our own calls beside that", () => {
    const { fleet, endpoint } = one();
    expect([endpoint.pressure(now), endpoint.peer?.freeSlots(now)]).toEqual([0, 8]);
    fleet.setPeer(facts("p", { advert: withLoad(2, 2) }), now);
    endpoint.begin("m", false, 1, now);
    expect([endpoint.pressure(now), endpoint.peer?.freeSlots(now)]).toEqual([3 / 8, 5]);
    endpoint.told({ ...engine.load, at: 3, inflight: 7 }, now);
    expect([endpoint.pressure(now), endpoint.peer?.freeSlots(now)]).toEqual([1, 0]);
  });

  test("is half pressed when its figure is stale, and refused when that is of no use", () => {
    const { endpoint } = one();
    expect(endpoint.pressure(now + 3001)).toBe(0.5);
    expect(endpoint.peer?.refusal(now + 10_000)).toBeUndefined();
    expect(endpoint.peer?.refusal(now + 10_001)).toBe("stale");
  });

  test("is refused while its host drains, or says that the engine is in trouble", () => {
    const { fleet, endpoint } = one();
    fleet.setPeer(facts("p", { advert: { ...advert, draining: true } }), now);
    expect(endpoint.peer?.refusal(now)).toBe("draining");
    fleet.setPeer(facts("p", { advert: { ...advert, engines: [{ ...engine, state: "open" }] } }), now);
    expect(endpoint.peer?.refusal(now)).toBe("troubled-there");
    fleet.setPeer(facts("p", { advert: withLoad(4, 2) }), now);
    expect(endpoint.peer?.refusal(now)).toBeUndefined();
    // Its engine has just come back: a tenth of its weight.
    expect(endpoint.pressure(now)).toBe(5);
  });

  test("takes no new work while its host is suspect, and counts as unavailable", () => {
    const { fleet, endpoint } = one();
    expect(available(endpoint, now)).toBe(true);
    fleet.setPeer(facts("p", { state: "suspect" }), now);
    expect(available(endpoint, now)).toBe(false);
    fleet.setPeer(facts("p"), now);
    expect(available(endpoint, now)).toBe(true);
  });

  test("is barred with its neighbours behind the same router, when that refuses connections, until that has spoken again", () => {
    const fleet = createFleet([], home);
    fleet.setPeer(facts("p", { advert: { ...advert, engines: [engine, { ...engine, name: "b" }] } }), now);
    fleet.setPeer(facts("q"), now);
    const [first, second, other] = fleet.peers;
    first?.begin("m", false, 1, now);
    first?.end({ kind: "refused", model: "m", stream: false, totalMs: 1 }, now, () => 0.5);
    expect([first?.barred(now + 5000), second?.barred(now + 5000), other?.barred(now)]).toEqual([
      true,
      true,
      false,
    ]);
    second?.told({ ...engine.load, at: engine.load.at + 5000 }, now + 5000);
    expect([first?.barred(now + 5000), second?.barred(now + 5000)]).toEqual([false, false]);
  });

  test("has the usual first byte that its host says, until our own calls know better", () => {
    const { endpoint } = one();
    endpoint.told({ ...engine.load, at: 2, firstByteMs: 40 }, now);
    expect(endpoint.recentFirstByteMs(now)).toBe(40);
    for (let call = 0; call < 5; call += 1) {
      endpoint.begin("m", true, 1, now);
      endpoint.end({ kind: "ok", model: "m", stream: true, firstByteMs: 1, totalMs: 2 }, now, () => 0.5);
    }
    expect(endpoint.recentFirstByteMs(now)).toBe(1);
  });
});

test("the free slots of an endpoint are shared out among those who say now that they are short of its tier", () => {
  let at = 1;
  const mine = (tell: (fleet: Fleet) => void): number => {
    const fleet = createFleet([], home);
    for (const name of ["a", "b", "c"]) fleet.setPeer(facts(name, { advert: shortDoor }), now);
    tell(fleet);
    at += 1;
    fleet.setPeer(facts("p", { advert: withLoad(0, at) }), now);
    const endpoint = fleet.named("p/vllm");
    while (endpoint?.peer?.permits(now) === true && endpoint.inflight < 8) endpoint.begin("m", true, 1, now);
    return endpoint?.inflight ?? 0;
  };
  expect(mine(() => undefined)).toBe(2);
  // Two are left, and we.
  expect(mine((fleet) => fleet.setPeer(facts("a", { state: "dead" }), now))).toBeGreaterThan(2);
  const others: readonly Advert[] = [
    { ...shortDoor, short: ["silver"] },
    { ...advert, engines: [] },
  ];
  for (const one of others)
    expect(
      mine((fleet) => {
        for (const name of ["a", "b"]) fleet.setPeer(facts(name, { advert: one }), now);
      }),
    ).toBe(8);
  // Who has all its slots in use counts before it has missed anything; who has one left does not.
  const withAllAt = (inflight: number): number =>
    mine((fleet) => {
      for (const name of ["a", "b", "c"]) fleet.setPeer(facts(name, { advert: withLoad(inflight, at) }), now);
    });
  expect([withAllAt(8), withAllAt(7)]).toEqual([2, 8]);
});

test("what a peer refuses to those who may hold only a share keeps nobody else away, and is no trouble of its engine's", () => {
  const fleet = createFleet([], home);
  fleet.setPeer(facts("p"), now);
  const endpoint = fleet.named("p/vllm");
  const pressure = endpoint?.pressure(now);
  endpoint?.begin("m", false, 1, now, { shares: true });
  const outcome = { kind: "busy", model: "m", stream: false, shares: true, totalMs: 1 } as const;
  endpoint?.end(outcome, now, () => 0.5);
  expect([endpoint?.pushedBack(now + 1, true), endpoint?.pushedBack(now + 1)]).toEqual([true, false]);
  expect(endpoint?.pressure(now)).toBe(pressure);
  endpoint?.begin("m", false, 2, now);
  endpoint?.end({ ...outcome, shares: false }, now, () => 0.5);
  expect(endpoint?.pushedBack(now + 1)).toBe(true);
});

/** How many it gets that others could take as well. */
function beforeOthers(fleet: Fleet, at: number): number {
  const endpoint = fleet.named("p/vllm");
  let count = 0;
  for (; endpoint?.peer?.joining(at) === false && endpoint.peer.freeSlots(at) >= 1; count += 1)
    endpoint.begin("m", true, 1, at);
  for (let left = count; left > 0; left -= 1)
    endpoint?.end({ kind: "cancelled", model: "m", stream: true, totalMs: 0 }, at, () => 0.5);
  return count;
}

describe("a joiner", () => {
  const fresh = (at: number): Partial<PeerFacts> => ({
    advert: {
      ...withLoad(0, at),
      upMs: 0,
      engines: [{ ...engine, slots: 100, load: { ...engine.load, at } }],
    },
    advertAt: at,
  });

  test("takes no more than others for a tenth of its slots at first and for all of them after 30 s", () => {
    const fleet = createFleet([], home);
    fleet.setPeer(facts("p", fresh(now)), now);
    expect(beforeOthers(fleet, now)).toBe(10);
    fleet.setPeer(facts("p", fresh(now + 15_000)), now + 15_000);
    expect(beforeOthers(fleet, now + 15_000)).toBe(50);
    fleet.setPeer(facts("p", fresh(now + 30_000)), now + 30_000);
    expect(beforeOthers(fleet, now + 30_000)).toBe(100);
  });

  test("gets that from all routers together that are short, by their shares of its news", () => {
    const routers = Array.from({ length: 20 }, (_, index) => `r${index}`);
    let sent = 0;
    for (const own of routers) {
      const fleet = createFleet([], { name: own, zone: "a" });
      for (const other of routers) fleet.setPeer(facts(other, { advert: shortDoor }), now);
      fleet.setPeer(facts("p", fresh(now)), now);
      const joiner = fleet.named("p/vllm");
      while (joiner?.peer?.permits(now) === true && !joiner.peer.joining(now)) {
        joiner.begin("m", true, 1, now);
        sent += 1;
      }
    }
    expect(sent).toBe(10);
  });

  test("has all its slots for those who find room nowhere else", () => {
    const fleet = createFleet([], home);
    fleet.setPeer(facts("p", fresh(now)), now);
    expect(fleet.named("p/vllm")?.peer?.freeSlots(now)).toBe(100);
    expect(fleet.named("p/vllm")?.peer?.permits(now)).toBe(true);
  });

  test("is not who has been up for long and is merely new to us", () => {
    const fleet = createFleet([], home);
    fleet.setPeer(facts("p"), now);
    expect(beforeOthers(fleet, now)).toBe(8);
  });

  test("is who comes back after it was held for dead, however long it has been up", () => {
    const fleet = createFleet([], home);
    fleet.setPeer(facts("p"), now);
    fleet.setPeer(facts("p", { state: "dead" }), now);
    fleet.setPeer(facts("p", { advertAt: now + 5000 }), now + 5000);
    expect(beforeOthers(fleet, now + 5000)).toBe(1);
  });
});

test("panic is when fewer than half of the peers are neither suspect nor draining, and the dead do not count", () => {
  const fleet = createFleet([], home);
  const panics: boolean[] = [];
  const tell = (name: string, more: Partial<PeerFacts> = {}): void => {
    fleet.setPeer(facts(name, more), now);
    panics.push(fleet.panic);
  };
  tell("a");
  tell("b");
  tell("a", { state: "suspect" });
  tell("b", { advert: { ...advert, draining: true } });
  tell("c");
  tell("a", { state: "dead" });
  expect(panics).toEqual([false, false, false, true, true, false]);
  expect(createFleet([], home).panic).toBe(false);
});

test("a model is remembered with the time at which the last host that had it went", () => {
  const fleet = createFleet([], home);
  fleet.setPeer(facts("p"), now);
  expect(fleet.servedUntil("m")).toBeUndefined();
  fleet.setPeer(facts("p", { state: "dead" }), now + 7);
  expect(fleet.servedUntil("m")).toBe(now + 7);
  expect(fleet.servedUntil("n")).toBeUndefined();
});
