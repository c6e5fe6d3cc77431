// One table and what it is told: what it then holds, and what it tells those above.

import { describe, expect, test } from "bun:test";
import type { Claim } from "../../src/cluster/claim.ts";
import { dampingRule } from "../../src/cluster/damping.ts";
import type { MembershipEvent } from "../../src/cluster/member.ts";
import { createMembership, membershipRule } from "../../src/cluster/membership.ts";
import { messageBounds, readMessage } from "../../src/cluster/messages.ts";

const start = 1_000_000;
const own: Claim = {
  name: "me",
  boot: "5",
  address: "me:1",
  incarnation: 10,
  state: "alive",
  seq: 1,
  meta: 0,
};
const b: Claim = {
  name: "b",
  boot: "5",
  address: "b:1",
  incarnation: 10,
  state: "alive",
  seq: 1,
  meta: "first",
};
const accused: Claim = { ...b, state: "suspect", accusers: ["c"], why: "no answer" };

function table() {
  const told: string[] = [];
  const tell = (event: MembershipEvent): void => {
    const who = "member" in event ? event.member.claim.name : "";
    const reason = "why" in event ? ` by ${event.by}: ${event.why}` : "";
    const winner = event.kind === "conflict" ? `${event.winner} over ${event.loser}` : "";
    told.push(`${event.kind} ${who}${winner}${reason}`);
  };
  const membership = createMembership(own, tell, start);
  let now = start;
  return {
    membership,
    hear: (...claims: readonly Partial<Claim>[]): void =>
      membership.merge(
        claims.map((claim) => ({ ...b, ...claim })),
        "c",
        now,
      ),
    pass(ms: number, lateMs = 0): void {
      now += ms;
      membership.sweep(now, lateMs);
    },
    heard: (): void => membership.heard({ name: "b", boot: "5", address: "b:1" }, now),
    now: () => now,
    state: () => membership.named("b")?.state,
    /** What was told since the last look. */
    told: (): string[] => told.splice(0),
  };
}

describe("the table tells", () => {
  const rows: readonly (readonly [string, readonly Partial<Claim>[], readonly string[]])[] = [
    ["who joined", [b], ["joined b"]],
    ["nothing of whom it never knew alive", [{ state: "dead" }, { state: "left" }], []],
    ["who accused whom of what", [b, accused], ["joined b", "suspected b by c: no answer"]],
    [
      "it once, however often it hears it",
      [b, accused, accused],
      ["joined b", "suspected b by c: no answer"],
    ],
    [
      "who has spoken up",
      [b, accused, { incarnation: 11 }],
      ["joined b", "suspected b by c: no answer", "refuted b"],
    ],
    [
      "who died of a suspicion that it shares",
      [b, accused, { ...accused, state: "dead" }],
      ["joined b", "suspected b by c: no answer", "dead b by c: no answer"],
    ],
    ["who left", [b, { incarnation: 11, state: "left" }], ["joined b", "left b"]],
    ["new meta", [b, { seq: 2, meta: "second" }], ["joined b", "updated b"]],
    ["nothing of old meta", [{ seq: 2, meta: "second" }, b], ["joined b"]],
    ["a restart", [b, { boot: "6", incarnation: 11 }], ["joined b", "restarted b", "updated b"]],
    [
      "a restart after its death once, and not as a refutation too",
      [b, accused, { ...accused, state: "dead" }, { boot: "6", incarnation: 11 }],
      ["joined b", "suspected b by c: no answer", "dead b by c: no answer", "restarted b"],
    ],
    [
      "a restart elsewhere while it seems alive as a conflict",
      [b, { boot: "6", incarnation: 11, address: "b:2" }],
      ["joined b", "conflict b:2 over b:1", "updated b"],
    ],
    ["its own refutation", [{ ...accused, name: "me", boot: "5" }], ["accused  by c: no answer"]],
  ];
  for (const [title, claims, expected] of rows) {
    test(title, () => {
      const { hear, told } = table();
      for (const claim of claims) hear(claim);
      expect(told()).toEqual([...expected]);
    });
  }
});

describe("another's word that a member is dead", () => {
  test("is a suspicion where none was known, and runs for the least time", () => {
    const { hear, state, pass } = table();
    hear(b, { ...accused, state: "dead" });
    expect(state()).toBe("suspect");
    pass(3999);
    expect(state()).toBe("suspect");
    pass(1);
    expect(state()).toBe("dead");
  });

  test("is nothing where the member itself was heard in the last 2 s", () => {
    const { hear, heard, pass, state, told } = table();
    hear(b);
    heard();
    told();
    pass(membershipRule.evidenceMs - 1);
    hear({ ...accused, state: "dead" });
    expect([state(), told()]).toEqual(["alive", []]);
    pass(1);
    hear({ ...accused, state: "dead" });
    expect(state()).toBe("suspect");
  });
});

test("time that we slept through does not count against a suspect", () => {
  const { hear, pass, state } = table();
  hear(b, accused);
  pass(20_000, 19_000);
  expect(state()).toBe("suspect");
  pass(2999);
  expect(state()).toBe("suspect");
  pass(1);
  expect(state()).toBe("dead");
});

test("a member that comes and goes is held down for a minute at its third return, and then comes back", () => {
  const { hear, pass, state, told } = table();
  hear(b);
  for (const incarnation of [10, 11, 12]) {
    hear({ ...accused, incarnation });
    pass(1000);
    hear({ incarnation: incarnation + 1 });
    pass(1000);
  }
  expect(state()).toBe("suspect");
  told();
  pass(dampingRule.holdMs - 1001);
  expect([state(), told()]).toEqual(["suspect", []]);
  pass(1);
  expect([state(), told()]).toEqual(["alive", ["refuted b"]]);
});

test("a judgement without meta leaves the meta that is known, and is passed on with it", () => {
  const { hear, membership } = table();
  hear({ seq: 3, meta: "third" });
  const { meta, ...bare } = accused;
  membership.merge([{ ...bare, seq: 3 }], "c", start);
  expect(membership.named("b")?.claim).toMatchObject({ state: "suspect", seq: 3, meta: "third" });
});

test("a digest is answered with what is better known, without the meta that is known there", () => {
  const { hear, membership } = table();
  hear(b, accused, { name: "c", seq: 4 }, { name: "d" }, { name: "e", incarnation: 12 });
  const { claims, more } = membership.betterThan([
    ["me", 10, 0, 1],
    ["b", 10, 0, 1],
    ["c", 10, 0, 3],
    ["e", 13, 0, 1],
  ]);
  expect(more).toBe(false);
  expect(claims.map(({ name }) => name).sort()).toEqual(["b", "c", "d"]);
  expect(claims.map((claim) => "meta" in claim)).toEqual(claims.map(({ name }) => name !== "b"));
});

test("there is more where one message does not hold it, and the rest follows", () => {
  const { hear, membership } = table();
  const pad = "x".repeat(4000);
  hear(...Array.from({ length: 20 }, (_, index) => ({ name: `n${index}`, meta: pad })));
  const first = membership.betterThan([]);
  expect(first.more).toBe(true);
  expect(JSON.stringify(first.claims).length).toBeLessThan(messageBounds.claimBytes + 100);
  const rest = membership.betterThan(first.claims.map(({ name }) => [name, 99, 0, 99]));
  expect(new Set([...first.claims, ...rest.claims].map(({ name }) => name)).size).toBeGreaterThan(
    first.claims.length,
  );
});

test("news that ride along stay within their bytes, and our own claim is always among them", () => {
  const { hear, membership, now } = table();
  hear(...Array.from({ length: 20 }, (_, index) => ({ name: `n${index}`, meta: "x".repeat(4000) })));
  const news = membership.news(now(), 12);
  expect(news[0]?.name).toBe("me");
  expect(news.length).toBeGreaterThan(1);
  expect(JSON.stringify(news.slice(1)).length).toBeLessThanOrEqual(messageBounds.newsBytes + 100);
});

test("meta that peers would not take is not published, and the last version stays", () => {
  const { membership, now } = table();
  expect(membership.publish("small", now())).toBe(true);
  expect(membership.publish("x".repeat(messageBounds.metaBytes), now())).toBe(false);
  expect(membership.self).toMatchObject({ meta: "small", seq: 2 });
});

test("an accusation travels however long its reason is, and is made once", () => {
  const { hear, membership, now } = table();
  hear(b);
  membership.accuse("b", "because ".repeat(100), now());
  membership.accuse("b", "again", now());
  const claim = membership.named("b")?.claim;
  expect(claim).toMatchObject({ state: "suspect", accusers: ["me"] });
  const message = {
    v: [1, 1],
    kind: "ping",
    to: "c",
    from: { name: "me", boot: "5", address: "me:1" },
    claims: [claim],
  };
  expect(readMessage(message)).toMatchObject({ claims: [{ name: "b" }] });
});
