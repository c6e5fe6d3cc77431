// What goes into a message: newest first, states before metas, within the bounds, and nothing of it twice.

import { describe, expect, test } from "bun:test";
import type { Claim } from "../../src/cluster/claim.ts";
import { messageBounds } from "../../src/cluster/messages.ts";
import type { Tellable } from "../../src/cluster/telling.ts";
import { betterThan, digestOf, newest, tellingRule } from "../../src/cluster/telling.ts";

const now = 1_000_000;

function row(
  name: string,
  changedAgoMs: number,
  claim: Partial<Claim> = {},
  claimedAgoMs = 60_000,
): Tellable {
  const whole: Claim = {
    name,
    boot: "b",
    address: `${name}:8012`,
    incarnation: 1,
    state: "alive",
    seq: 1,
    meta: name,
    ...claim,
  };
  return {
    claim: whole,
    digest: digestOf(whole),
    changedAt: now - changedAgoMs,
    claimedSince: now - Math.max(changedAgoMs, claimedAgoMs),
  };
}
const suspect = (name: string, agoMs: number): Tellable => row(name, agoMs, { state: "suspect" }, agoMs);
const namesOf = (claims: readonly Claim[]): string[] => claims.map(({ name }) => name);
const table = (rows: readonly Tellable[]) => new Map(rows.map((each) => [each.claim.name, each]));

describe("the newest", () => {
  test("are whose state has changed, then who has said something else, the last one first, and at most so many", () => {
    const rows = [suspect("s1", 2000), row("m1", 900), suspect("s2", 500), row("m2", 100), row("m3", 0)];
    expect(namesOf(newest(rows, now, 10))).toEqual(["s2", "s1", "m3", "m2", "m1"]);
    expect(namesOf(newest(rows, now, 3))).toEqual(["s2", "s1", "m3"]);
    expect(newest(rows, now, 0)).toEqual([]);
  });

  test("are no news any more after a while, a change of state later than anything else", () => {
    const rows = [suspect("old", tellingRule.newsMs), suspect("state", tellingRule.newsMs - 1)];
    const metas = [row("stale", tellingRule.metaNewsMs), row("meta", tellingRule.metaNewsMs - 1)];
    expect(namesOf(newest([...rows, ...metas], now, 10))).toEqual(["state", "meta"]);
  });

  test("leave out what does not fit beside the rest, and only that", () => {
    const large = { meta: "x".repeat(messageBounds.newsBytes - 500) };
    const rows = [row("small", 30), row("second", 20, large), row("first", 10, large)];
    expect(namesOf(newest(rows, now, 10))).toEqual(["first", "small"]);
  });
});

describe("what is better known than in a digest", () => {
  const digest = [row("a", 0), row("b", 0), row("c", 0)].map((each) => each.digest);

  test("is a later incarnation, a later meta, a graver state without its meta, and who is not in it, newest first", () => {
    const rows = [
      row("a", 40, { incarnation: 2 }),
      row("b", 30, { seq: 2 }),
      row("c", 20, { state: "suspect", accusers: ["a"] }),
      row("d", 10),
      row("dead", 0, { state: "dead" }),
    ];
    const { claims, more } = betterThan(table(rows), digest);
    expect([namesOf(claims), more]).toEqual([["d", "c", "b", "a"], false]);
    expect(claims.map((claim) => "meta" in claim)).toEqual([true, false, true, true]);
  });

  test("is nothing where the digest is as good or better, or of somebody unknown here", () => {
    const better = [row("a", 0, { incarnation: 2 }), row("b", 0, { seq: 5 }), row("nobody", 0)];
    const rows = table([row("a", 0, { seq: 9 }), row("b", 0)]);
    expect(
      betterThan(
        rows,
        better.map((each) => each.digest),
      ),
    ).toEqual({ claims: [], more: false });
  });

  test("is told in parts where it is too much, and one that is too large alone goes alone", () => {
    const meta = "x".repeat(messageBounds.claimBytes / 2);
    const rows = [row("d", 30, { meta }), row("e", 20, { meta }), row("f", 10, { meta: meta + meta })];
    const first = betterThan(table(rows), digest);
    expect([namesOf(first.claims), first.more]).toEqual([["f"], true]);
    const second = betterThan(table(rows.slice(0, 2)), digest);
    expect([namesOf(second.claims), second.more]).toEqual([["e"], true]);
  });
});
