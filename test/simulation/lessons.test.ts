// What went wrong elsewhere, and what must change nothing: one small fleet each, from one seed.

import { describe, expect, test } from "bun:test";
import type { Claim } from "../../src/cluster/claim.ts";
import { weightOf } from "../../src/cluster/claim.ts";
import { membershipRule } from "../../src/cluster/membership.ts";
import type { Message, Ping } from "../../src/cluster/messages.ts";
import { messageBounds, readMessage } from "../../src/cluster/messages.ts";
import { measured } from "../support/measured.ts";
import { createInspector } from "./invariants.ts";
import type { Run, World } from "./world.ts";
import { allSee, createWorld, fleetOf } from "./world.ts";

const claimIn = (run: Run | undefined, name: string): Claim => {
  const claim = run?.gossip.members().find((member) => member.claim.name === name)?.claim;
  if (claim === undefined) throw new Error(`${run?.name} does not know ${name}`);
  return claim;
};
const table = (run: Run | undefined): string =>
  JSON.stringify(run?.gossip.members().map(({ claim, state }) => [state, claim]));
const first = (runs: readonly Run[], at = 0): Run => {
  const run = runs[at];
  if (run === undefined) throw new Error(`no host ${at}`);
  return run;
};
const told = (runs: readonly Run[], kind: string): number =>
  runs.flatMap((run) => run.told.filter(({ event }) => event.kind === kind)).length;

function fleet(size: number, seed = 7): [World, Run[]] {
  const world = createWorld(seed, { inspect: createInspector() });
  const runs = fleetOf(world, size);
  world.advance(2000);
  return [world, runs];
}

const from = (run: Run) => ({ name: run.name, boot: run.boot, address: run.address });
const pushed = (run: Run, claims: readonly Claim[], to: Run): Message => ({
  v: [1, 1],
  kind: "ping",
  from: from(run),
  to: to.name,
  claims,
});

describe("SMG's failures", () => {
  test("a victim that is told of its own death, in whatever words, stays alive and outranks the rumour everywhere", () => {
    for (const state of ["suspect", "dead", "left"] as const) {
      const [world, runs] = fleet(5);
      const [victim, accuser] = [first(runs), first(runs, 1)];
      const claim = { ...claimIn(accuser, victim.name), state, accusers: [accuser.name] };
      world.act(victim, (gossip) => void gossip.handle(pushed(accuser, [claim], victim)));
      expect(claimIn(victim, victim.name).state).toBe("alive");
      expect(victim.gossip.incarnation).toBe(claim.incarnation + 1);
      // The accuser is told at once, not at the next round.
      world.advance(10);
      expect(claimIn(accuser, victim.name).incarnation).toBe(claim.incarnation + 1);
      world.advance(3000);
      expect(allSee(runs, "alive")).toBe(true);
      for (const run of runs) expect(claimIn(run, victim.name).incarnation).toBe(victim.gossip.incarnation);
    }
  });

  test("a partition of 30 s heals by itself although the seeds are gone by then", () => {
    const [world, runs] = fleet(8);
    const half = new Set(runs.filter((_, index) => index % 2 === 0).map(({ address }) => address));
    const heal = world.block((a, b) => half.has(a) !== half.has(b));
    world.advance(30_000);
    for (const seed of runs.slice(0, 3)) world.crash(seed);
    world.advance(10_000);
    heal();
    expect(world.until(() => allSee(world.live(), "alive"), 60_000)).toBeLessThanOrEqual(5000);
  });
});

test("every probe of a suspect tells it that it is suspected, so that it can refute in its answer", () => {
  const probes: Ping[] = [];
  const dialect = (message: unknown): unknown => {
    const read = readMessage(message);
    if (typeof read !== "string" && read.kind === "ping") probes.push(read);
    return message;
  };
  const world = createWorld(5, { json: false });
  const runs = fleetOf(world, 40, () => ({ dialect }));
  const suspect = first(runs, 5);
  world.pause(suspect);
  // By then the suspicion is no news any more, which rides on any message.
  world.advance(5200);
  for (const run of runs) if (run !== suspect) expect(claimIn(run, "h5").state).toBe("suspect");
  probes.length = 0;
  world.advance(600);
  world.resume(suspect);
  const toSuspect = probes.filter(({ to }) => to === "h5");
  expect(toSuspect.length).toBeGreaterThan(0);
  for (const { claims } of toSuspect)
    expect(claims.some(({ name, state }) => name === "h5" && state === "suspect")).toBe(true);
});

describe("nothing changes", () => {
  test("by any message of the past, sent again in any order", () => {
    const world = createWorld(3, { inspect: createInspector() });
    const kept: { to: string; message: unknown }[] = [];
    const dialect = (message: unknown): unknown => {
      kept.push({ to: "", message: structuredClone(message) });
      return message;
    };
    const runs = fleetOf(world, 4, () => ({ dialect }));
    world.advance(2000);
    // History worth repeating: a suspicion, a refutation, a death, a return.
    const sleeper = first(runs, 3);
    world.pause(sleeper);
    world.advance(3000);
    world.resume(sleeper);
    world.advance(3000);
    world.pause(sleeper);
    world.advance(12_000);
    world.resume(sleeper);
    world.advance(10_000);
    expect(told(runs, "dead")).toBeGreaterThan(0);
    expect(allSee(runs, "alive")).toBe(true);

    const before = runs.map(table);
    const messages = kept.splice(0).map(({ message }) => message);
    expect(messages.length).toBeGreaterThan(100);
    for (const run of runs) {
      for (let turn = 0; turn < 2000; turn += 1) {
        const message = messages[Math.floor(world.random() * messages.length)];
        world.act(run, (gossip) => void gossip.handle(message));
      }
    }
    expect(runs.map(table)).toEqual(before);
  });

  test("when wall clocks step by an hour: the run goes on event for event as without (fault 22)", () => {
    const play = (step: number): string => {
      const [world, runs] = fleet(5);
      for (const run of runs) run.wallOffsetMs += step;
      world.crash(first(runs, 2));
      world.advance(20_000);
      return `${world.events} ${runs.map(table).join()}`;
    };
    expect(play(3_600_000)).toBe(play(0));
    expect(play(-3_600_000)).toBe(play(0));
    measured(
      22,
      "simulated, all wall clocks step by an hour as a host dies: gossip goes on event for event as without",
    );
  });

  test("by messages that are no messages; each is refused and counted", () => {
    const [world, runs] = fleet(3);
    const target = first(runs);
    const good = pushed(first(runs, 1), [], target);
    const claim = claimIn(target, "h1");
    const long = "x".repeat(messageBounds.textLength + 1);
    const before = table(target);
    const refused: readonly unknown[] = [
      undefined,
      null,
      7,
      "ping",
      [],
      {},
      { ...good, v: undefined },
      { ...good, v: [1] },
      { ...good, v: [1, "2"] },
      { ...good, kind: "pong" },
      { ...good, kind: "reply" },
      { ...good, to: 7 },
      { ...good, from: undefined },
      { ...good, from: { ...good.from, name: "" } },
      { ...good, from: { ...good.from, name: long } },
      { ...good, claims: {} },
      { ...good, claims: Array(messageBounds.members + 1).fill(claim) },
      { ...good, kind: "sync" },
      { ...good, kind: "sync", digest: [["h1", "new", 0, 0]] },
      { ...good, kind: "sync", digest: Array(messageBounds.members + 1).fill(["h1", 1, 0, 0]) },
      { ...good, kind: "ask", address: "h1:8012" },
    ];
    for (const message of refused) world.act(target, (gossip) => void gossip.handle(message));
    expect(target.gossip.counters.rejected.malformed).toBe(refused.length);

    const unreadable: readonly unknown[] = [
      null,
      { ...claim, state: "undead" },
      { ...claim, incarnation: -1 },
      { ...claim, incarnation: 2 ** 60 },
      { ...claim, incarnation: 1.5 },
      { ...claim, seq: "1" },
      { ...claim, address: "" },
      { ...claim, boot: long },
      { ...claim, accusers: ["a", "b", "c", "d"] },
    ];
    world.act(target, (gossip) => void gossip.handle({ ...good, claims: unreadable }));
    expect(target.gossip.counters.rejected.malformed).toBe(refused.length);
    expect(table(target)).toBe(before);
  });

  test("by a program of a version that we do not share; it is refused and counted, and joins nowhere (fault 47)", () => {
    const [world, runs] = fleet(3);
    const dialect = (message: unknown): unknown =>
      typeof message === "object" && message !== null ? { ...message, v: [2, 3] } : message;
    const stranger = world.start("stranger", { seeds: () => ["h0:8012"], dialect });
    world.advance(10_000);
    expect(first(runs).gossip.counters.rejected.version).toBeGreaterThan(0);
    expect(allSee(runs, "alive")).toBe(true);
    expect([...runs, stranger].map((run) => run.gossip.members().length)).toEqual([3, 3, 3, 1]);
    measured(47, "a program that speaks none of our versions is refused, counted, and changes nothing");
  });
});

test("a later version is understood, and what we do not know of it is passed on unread (fault 47)", () => {
  const [world, runs] = fleet(4);
  const [sender, receiver] = [first(runs), first(runs, 1)];
  const claim = claimIn(sender, "h0");
  const later: Claim = JSON.parse(
    JSON.stringify({ ...claim, seq: claim.seq + 5, meta: { a: [1] }, mood: "bright" }),
  );
  // As if h0 had said so itself; its own table does not know, so the others keep it.
  world.act(
    receiver,
    (gossip) => void gossip.handle({ ...pushed(sender, [later], receiver), v: [1, 9], tone: "kind" }),
  );
  world.advance(3000);
  for (const run of runs.slice(1))
    expect(claimIn(run, "h0")).toMatchObject({ meta: { a: [1] }, mood: "bright" });
});

test("of two runs of one name that began in the same millisecond one falls silent, although all they say weighs the same", () => {
  for (let seed = 0; seed < 10; seed += 1) {
    const world = createWorld(seed, { inspect: createInspector() });
    const seeds = { seeds: () => ["h0:8012", "h1:8012"] };
    const runs = ["h0", "h1", "h2"].map((name) => world.start(name, seeds));
    // They meet when the news of either is old.
    const heal = world.block((a, b) => a === "twin:1" || b === "twin:1");
    const twins = ["twin:1", "twin:2"].map((address) => world.start("twin", { ...seeds, address }));
    world.advance(10_000);
    heal();
    world.advance(20_000);
    expect([seed, twins.filter((twin) => twin.gossip.yielded).length]).toEqual([seed, 1]);
    expect([seed, allSee([...runs, ...twins.filter((twin) => !twin.gossip.yielded)], "alive")]).toEqual([
      seed,
      true,
    ]);
  }
});

test("who answers at a member's address under another name does not keep that member alive", () => {
  const [world, runs] = fleet(5);
  const gone = first(runs, 4);
  world.crash(gone);
  const other = world.start("other", { address: gone.address, seeds: () => ["h0:8012"] });
  const rest = [...runs.slice(0, 4), other];
  expect(world.until(() => allSee(rest, "dead", [gone]), 20_000)).toBeLessThanOrEqual(8000);
  expect(allSee(rest, "alive")).toBe(true);
});

test("the same seed plays the same run, event for event", () => {
  const play = (): string => {
    const world = createWorld(11, { faults: { loss: 0.2, jitterMs: 100, duplicates: 0.1 } });
    const runs = fleetOf(world, 6);
    world.advance(20_000);
    return `${world.events} ${runs.map(table).join()}`;
  };
  expect(play()).toBe(play());
});

describe("with a crowd of names that only rumour knows", () => {
  const crowded = (names: number): Run[] => {
    const world = createWorld(1);
    const runs = fleetOf(world, 3);
    const [target, teller] = [first(runs), first(runs, 1)];
    const model = claimIn(target, "h1");
    const crowd = Array.from({ length: names }, (_, index) => ({
      ...model,
      name: `ghost-${index}`,
      address: `ghost-${index}:8012`,
      meta: { pad: "x".repeat(200) },
    }));
    for (let at = 0; at < names; at += 500)
      world.act(target, (gossip) => void gossip.handle(pushed(teller, crowd.slice(at, at + 500), target)));
    for (const run of runs) run.traffic.largest = 0;
    world.until(() => runs.every((run) => run.gossip.members().length >= names), 3000);
    return runs;
  };

  test("a table that is full takes no further ones", () => {
    for (const run of crowded(1100)) expect(run.gossip.members().length).toBe(messageBounds.members);
  });

  test("500 of them reach everybody within 3 s, in messages below 64 KB", () => {
    for (const run of crowded(497)) {
      expect(run.gossip.members().length).toBe(500);
      expect(run.traffic.largest).toBeLessThan(64 * 1024);
    }
  });
});

test("the dead and the gone are forgotten after ten minutes, by all, and do not come back as rumours", () => {
  const [world, runs] = fleet(4);
  const gone = first(runs, 3);
  world.act(gone, (gossip) => void gossip.leave());
  world.advance(1000);
  world.crash(gone);
  world.crash(first(runs, 2));
  const rest = runs.slice(0, 2);
  world.advance(membershipRule.tombstoneMs - 5000);
  expect(rest.map((run) => run.gossip.members().length)).toEqual([4, 4]);
  world.advance(30_000);
  expect(rest.map((run) => run.gossip.members().length)).toEqual([2, 2]);
  world.advance(membershipRule.tombstoneMs);
  expect(rest.map((run) => run.gossip.members().length)).toEqual([2, 2]);
});

test("weights rise with the gravity of a claim, so that a digest tells who knows the worse", () => {
  const [, runs] = fleet(2);
  const claim = claimIn(first(runs), "h1");
  const graver: readonly Partial<Claim>[] = [
    { state: "alive" },
    { state: "suspect", accusers: ["a"] },
    { state: "suspect", accusers: ["a", "b"] },
    { state: "suspect", accusers: ["a", "b", "c"] },
    { state: "dead" },
    { state: "left" },
  ];
  const weights = graver.map((part) => weightOf({ ...claim, ...part }));
  expect(weights).toEqual([...weights].sort((a, b) => a - b));
  expect(new Set(weights).size).toBe(weights.length);
});
