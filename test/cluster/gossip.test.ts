// What the machine takes from a message before it looks at what it says: whom it was meant for, and what could be told on.

import { describe, expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import type { Claim } from "../../src/cluster/claim.ts";
import { createGossip } from "../../src/cluster/gossip.ts";
import { claimIncarnationMost } from "../../src/cluster/incarnation.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const claimOf = (name: string, more: Partial<Claim> = {}): Claim => ({
  name,
  boot: "1",
  address: `${name}:1`,
  incarnation: 5,
  state: "alive",
  seq: 1,
  meta: 0,
  ...more,
});

function scene() {
  const gossip = createGossip({
    name: "a",
    boot: "1",
    address: "a:1",
    incarnation: 5,
    meta: 0,
    seeds: () => [],
    lastKnown: [],
    clock: virtualClock(),
    random: seededRandom(1),
    transport: { send: async () => ({ failed: "nobody there" }) },
    tell: () => undefined,
  });
  const from = { name: "b", boot: "1", address: "b:1" };
  return {
    gossip,
    hear: (claims: readonly unknown[], more: object = {}) =>
      gossip.handle({ v: [1, 1], kind: "ping", to: "a", from, claims, ...more }),
    member: (name: string) => gossip.members().find(({ claim }) => claim.name === name),
  };
}

describe("a message", () => {
  test("for somebody else is refused and counted, and changes nothing", async () => {
    const { gossip, hear, member } = scene();
    expect(await hear([claimOf("b")], { for: "c" })).toMatchObject({
      kind: "refusal",
      because: "misdirected",
    });
    expect(member("b")).toBeUndefined();
    expect(gossip.counters.rejected.misdirected).toBe(1);
  });

  test("is a sign of life of its sender where it was meant for us, and not where it may have been for anybody", async () => {
    const { hear, member } = scene();
    await hear([claimOf("b")]);
    expect(member("b")?.heardAt).toBeUndefined();
    await hear([], { for: "a" });
    expect(member("b")?.heardAt).toBeNumber();
  });

  test("of which one claim could be told to nobody loses that claim only", async () => {
    const { hear, member } = scene();
    const tooHeavy = { ...claimOf("d"), tone: "x".repeat(20_000) };
    const tooHigh = claimOf("e", { incarnation: claimIncarnationMost + 1 });
    const strange = { ...claimOf("f"), tone: "kind" };
    await hear([claimOf("c"), tooHeavy, tooHigh, strange]);
    expect(["c", "d", "e", "f"].map((name) => member(name) !== undefined)).toEqual([
      true,
      false,
      false,
      true,
    ]);
  });
});
