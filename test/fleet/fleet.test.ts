// The table of endpoints: what a reload keeps, and what pools and availability are.

import { describe, expect, test } from "bun:test";
import type { EndpointSpec, Tier } from "../../src/fleet/endpoint.ts";
import type { FleetMember } from "../../src/fleet/fleet.ts";
import { available, createFleet, poolOf } from "../../src/fleet/fleet.ts";
import { view } from "../support/views.ts";

const now = 1_000_000;

const member = (name: string, more: Partial<EndpointSpec> = {}): FleetMember => ({
  spec: { name, tier: "gold", locality: "local", slots: 4, queueLimit: 4, ...more },
  identity: "here",
  models: ["m"],
});

const names = (tier: Tier, fleet: ReturnType<typeof createFleet>): string[] =>
  fleet.inTier(tier).map(({ spec }) => spec.name);

describe("a fleet", () => {
  test("finds its endpoints by tier, in the order given, and by name", () => {
    const fleet = createFleet([member("a"), member("s", { tier: "silver" }), member("b")]);
    expect(names("gold", fleet)).toEqual(["a", "b"]);
    expect(names("silver", fleet)).toEqual(["s"]);
    expect(names("bronze", fleet)).toEqual([]);
    expect(fleet.named("s")?.spec.tier).toBe("silver");
    expect(fleet.named("x")).toBeUndefined();
  });

  test("keeps what it knows of an endpoint that keeps its name, and takes over its new facts", () => {
    const fleet = createFleet([member("a"), member("b")]);
    const before = fleet.named("a");
    before?.begin("m", false, fleet.nextPick(), now);
    before?.setHealth("unhealthy", now);
    fleet.reconfigure([member("a", { slots: 8, tier: "silver" }), member("c")]);
    const after = fleet.named("a");
    expect(after).toBe(before);
    expect([after?.inflight, after?.health, after?.spec.slots]).toEqual([1, "unhealthy", 8]);
    expect(names("silver", fleet)).toEqual(["a"]);
    expect(names("gold", fleet)).toEqual(["c"]);
    expect(fleet.named("b")).toBeUndefined();
  });

  test("knows nothing of an endpoint that was away", () => {
    const fleet = createFleet([member("a")]);
    fleet.named("a")?.setHealth("unhealthy", now);
    fleet.reconfigure([]);
    expect(fleet.endpoints).toEqual([]);
    fleet.reconfigure([member("a")]);
    expect(fleet.named("a")?.health).toBe("unknown");
  });

  test("a call that began before its endpoint was removed may still end", () => {
    const fleet = createFleet([member("a")]);
    const gone = fleet.named("a");
    gone?.begin("m", false, fleet.nextPick(), now);
    fleet.reconfigure([]);
    gone?.end({ kind: "ok", model: "m", stream: false, totalMs: 1 }, now, () => 0);
    expect(gone?.inflight).toBe(0);
  });

  test("numbers its picks upwards", () => {
    const fleet = createFleet([]);
    expect([fleet.nextPick(), fleet.nextPick(), fleet.nextPick()]).toEqual([1, 2, 3]);
  });
});

test("a pool adds up slots, and an empty one is not used at all", () => {
  expect(poolOf([view("a", { inflight: 1, slots: 2 }), view("b", { inflight: 2, slots: 6 })])).toEqual({
    used: 3,
    limit: 8,
    utilization: 0.375,
  });
  expect(poolOf([])).toEqual({ used: 0, limit: 0, utilization: 0 });
});

test("available is what takes new work, whatever its load", () => {
  expect(available(view("a", { inflight: 99 }), now)).toBe(true);
  expect(available(view("a", { health: "unknown" }), now)).toBe(true);
  expect(available(view("a", { pushedBack: true }), now)).toBe(true);
  for (const seen of [
    { health: "unhealthy" },
    { silent: true },
    { barred: true },
    { open: "all" },
  ] as const) {
    expect([seen, available(view("a", seen), now)]).toEqual([seen, false]);
  }
});
