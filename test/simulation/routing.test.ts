// What the routers of a fleet do with requests, as scenarios: the real membership, the real fleet and the real policy of
// each, with every decision inspected. `TIERLINE_SEEDS=1000 bun test test/simulation/routing` takes more seeds and fleets
// of 500, and prints the table of figures.

import { describe, expect, test } from "bun:test";
import { advertRule } from "../../src/fleet/advert.ts";
import type { EndpointState } from "../../src/fleet/endpoint-state.ts";
import { available } from "../../src/fleet/fleet.ts";
import { slowStartWeight } from "../../src/fleet/slow-start.ts";
import { whyNot } from "../../src/routing/candidates.ts";
import { route } from "../../src/routing/route.ts";
import { measured } from "../support/measured.ts";
import { createFigures, longRun, report, seedsOf } from "./figures.ts";
import type { Ask, Decide, Fate, HostKind, RoutedFleet, Router, Watch } from "./routed-fleet.ts";
import { createRoutedFleet } from "./routed-fleet.ts";
import type { RoutingInspector } from "./routing-invariants.ts";
import { createRoutingInspector } from "./routing-invariants.ts";
import type { World } from "./world.ts";
import { createWorld } from "./world.ts";

const longMs = 3_600_000;
const holdMs = 500;

interface Scene {
  readonly world: World;
  readonly fleet: RoutedFleet;
  readonly inspector: RoutingInspector;
}

/** A settled fleet of `h0`, `h1`, …, each decision of which is inspected. */
function scene(
  seed: number,
  size: number,
  kindOf: (index: number) => HostKind,
  more: Watch = {},
  decide: Decide = route,
): Scene {
  const world = createWorld(seed, { json: false });
  const inspector = createRoutingInspector(() => world);
  const watch: Watch = {
    ...more,
    hinted: inspector.hinted,
    sent: inspector.sent,
    decided(journey, decision) {
      inspector.decided(journey, decision);
      more.decided?.(journey, decision);
    },
    reached(to, isTaken) {
      inspector.reached(to);
      more.reached?.(to, isTaken);
    },
  };
  const fleet = createRoutedFleet(world, watch, decide);
  for (let index = 0; index < size; index += 1) fleet.start(`h${index}`, kindOf(index));
  fleet.settle();
  if (decide === route) inspector.fleet = fleet;
  return { world, fleet, inspector };
}

const oneOf = <T>(world: World, items: readonly T[]): T | undefined =>
  items[Math.floor(world.random() * items.length)];

/** As a client that looks at /readyz does. */
const ready = (world: World, fleet: RoutedFleet) => (): Router | undefined =>
  oneOf(
    world,
    fleet.up.filter(({ draining }) => !draining),
  );

const askOf =
  (world: World, more: Partial<Ask> = {}) =>
  (): Ask => ({ holdMs: holdMs * (0.5 + world.random()), ...more });

/** Requests a second that use such a part of so many slots. */
const rateFor = (slots: number, share: number): number => (slots * share * 1000) / holdMs;

const slotsOf = (routers: readonly Router[]): number =>
  routers.reduce((sum, { kind }) => sum + kind.slots, 0);

const unwell = ({ answered: _, ...fates }: Record<Fate, number>): number =>
  Object.values(fates).reduce((sum, count) => sum + count, 0);

const named = (fleet: RoutedFleet, name: string): Router => {
  const router = fleet.routers.get(name);
  if (router === undefined) throw new Error(`there is no ${name}`);
  return router;
};

describe("a fleet under 70 % load of which a quarter of the doors get three quarters", () => {
  for (const [size, seeds] of [
    [10, 5],
    [100, 1],
    [500, longRun ? 1 : 0],
  ] as const) {
    test.skipIf(seeds === 0)(
      `of ${size} answers all but 1 %`,
      () => {
        const refused = createFigures(`N=${size} hot doors, not answered, %`, { of: "worst", most: 1 });
        const forwarded = createFigures(`N=${size} hot doors, forwarded, %`);
        const bounced = createFigures(`N=${size} hot doors, forwarded and refused there, %`);
        for (const seed of seedsOf(seeds, size > 100 ? 1 : 50)) {
          const { world, fleet } = scene(seed, size, () => ({ slots: 8, queueLimit: 8 }));
          const hot = fleet.up.slice(0, Math.ceil(size / 4));
          const perSecond = rateFor(8 * size, 0.7);
          fleet.traffic({
            perSecond,
            door: () => oneOf(world, world.random() < 2 / 3 ? hot : fleet.up),
            ask: askOf(world),
          });
          world.advance(size > 10 ? 5000 : 10_000);
          const { asked, forwarded: sent, refusedThere } = fleet.counts;
          refused.add(seed, (100 * unwell(fleet.fates)) / asked);
          forwarded.add(seed, (100 * sent) / asked);
          bounced.add(seed, (100 * refusedThere) / sent);
        }
        report(refused, forwarded, bounced);
        expect(refused.worst, String(refused)).toBeLessThan(1);
        expect(forwarded.mean, String(forwarded)).toBeGreaterThan(20);
        expect(bounced.worst, String(bounced)).toBeLessThan(20);
      },
      longMs,
    );
  }
});

describe("one idle host among full ones", () => {
  /** What everybody would do who thinks of himself only. */
  const leastPressed: Decide = (request, fleet, tried, now, random) => {
    const free = (each: (typeof fleet.local)[number]): boolean => {
      const exclusion = whyNot(each, request, tried, now);
      return exclusion === undefined || exclusion === "spoken-for";
    };
    const [here] = fleet.local.filter(free);
    if (here !== undefined) return { do: "try", endpoint: here, because: "local-first" };
    const [best] = fleet.peers.filter(free).sort((a, b) => a.pressure(now) - b.pressure(now));
    if (best !== undefined) return { do: "try", endpoint: best, because: "peer-less-pressed" };
    return route(request, { ...fleet, places: () => ({ local: [], near: [], far: [] }) }, tried, now, random);
  };

  function herd(seed: number, size: number, slots: number, decide: Decide, sessions = false) {
    let refused = 0;
    let period = 0;
    let most = 0;
    let mostAtOnset = 0;
    let isOnset = true;
    const { world, fleet } = scene(
      seed,
      size + 1,
      () => ({ slots }),
      {
        reached(to, isTaken) {
          if (to.name !== "h0") return;
          if (to.publishedAt !== period) refused = 0;
          period = to.publishedAt;
          if (!isTaken) refused += 1;
          const reach = (refused + (to.fleet.local[0]?.inflight ?? 0)) / slots;
          if (isOnset) mostAtOnset = Math.max(mostAtOnset, reach);
          else most = Math.max(most, reach);
        },
      },
      decide,
    );
    const idle = named(fleet, "h0");
    const full = fleet.up.filter((router) => router !== idle);
    fleet.traffic({
      perSecond: rateFor(size * slots, 1.5),
      door: () => oneOf(world, full),
      ask: () => ({
        holdMs: holdMs * (0.5 + world.random()),
        ...(sessions && { session: `player-${Math.floor(1000 * world.random())}` }),
      }),
    });
    // Until all are full, and have heard of one another that they want more.
    world.advance(size > advertRule.smallFleet ? 4000 : 2000);
    isOnset = false;
    const { served } = idle;
    const { answered } = fleet.fates;
    const { asked } = fleet.counts;
    const seconds = 3;
    world.advance(seconds * 1000);
    return {
      most,
      mostAtOnset,
      used: ((idle.served - served) * holdMs) / (slots * seconds * 1000),
      answered: (fleet.fates.answered - answered) / (fleet.counts.asked - asked),
    };
  }

  for (const [size, slots, seeds] of [
    [10, 1, 4],
    [10, 8, 4],
    [50, 8, 1],
    [100, 1, longRun ? 1 : 0],
    [100, 16, longRun ? 1 : 0],
    [200, 16, longRun ? 1 : 0],
  ] as const) {
    const most = slots === 1 ? 3 : 2;
    test.skipIf(seeds === 0)(
      `with ${slots} slots and ${size} routers around it under standing pressure holds and refuses at most ${most} times its slots in an advert's time (fault 27)`,
      () => {
        const reach = createFigures(`N=${size}, ${slots} slots, herd, times its slots`, {
          of: "worst",
          most,
        });
        const onset = createFigures(`N=${size}, ${slots} slots, herd, when it begins, times its slots`);
        const used = createFigures(`N=${size}, ${slots} slots, herd, idle host used, %`);
        const answered = createFigures(`N=${size}, ${slots} slots, herd, answered by all, %`);
        const withSessions = createFigures(`N=${size}, ${slots} slots, herd with sessions, times its slots`, {
          of: "worst",
          most,
        });
        const naive = createFigures(`N=${size}, ${slots} slots, all pick the least pressed, times its slots`);
        const naiveUsed = createFigures(`N=${size}, ${slots} slots, all pick the least pressed, used, %`);
        const naiveAnswered = createFigures(
          `N=${size}, ${slots} slots, all pick the least pressed, answered, %`,
        );
        for (const seed of seedsOf(seeds, 20)) {
          const ours = herd(seed, size, slots, route);
          reach.add(seed, ours.most);
          onset.add(seed, ours.mostAtOnset);
          used.add(seed, 100 * ours.used);
          answered.add(seed, 100 * ours.answered);
          if (longRun) withSessions.add(seed, herd(seed, size, slots, route, true).most);
          if (!longRun) continue;
          const theirs = herd(seed, size, slots, leastPressed);
          naive.add(seed, theirs.most);
          naiveUsed.add(seed, 100 * theirs.used);
          naiveAnswered.add(seed, 100 * theirs.answered);
        }
        report(reach, onset, used, answered, withSessions, naive, naiveUsed, naiveAnswered);
        expect(reach.worst, String(reach)).toBeLessThanOrEqual(most);
        expect(onset.worst, String(onset)).toBeLessThanOrEqual(slots === 1 ? 8 : 5);
        measured(
          27,
          `simulated, ${size} full routers around one idle host of ${slots} slots: at most ${reach.worst.toFixed(1)} times its slots reach it in an advert's time, ${onset.worst.toFixed(1)} when all fill up at once; ${Math.round(used.mean)} % of it used`,
        );
        if (longRun) expect(withSessions.worst, String(withSessions)).toBeLessThanOrEqual(most);
      },
      longMs,
    );
  }
});

describe("the one silver host of a quiet fleet", () => {
  for (const [size, slots, perSecond, seeds] of [
    [6, 8, 4, 3],
    [20, 8, 4, longRun ? 3 : 1],
    [20, 64, 4, longRun ? 3 : 0],
    [100, 8, 4, longRun ? 2 : 0],
    [100, 64, 40, longRun ? 2 : 0],
  ] as const) {
    test.skipIf(seeds === 0)(
      `with ${slots} slots refuses next to nothing of the ${perSecond} requests a second that ${size - 1} gold hosts ask of it`,
      () => {
        const refused = createFigures(
          `N=${size}, one silver host of ${slots} slots, ${perSecond} a second, refused, %`,
          { of: "worst", most: 0.5 },
        );
        for (const seed of seedsOf(seeds, 10)) {
          const { world, fleet } = scene(seed, size, (index) =>
            index === 0 ? { slots, tier: "silver" } : { slots: 8 },
          );
          const doors = fleet.up.slice(1);
          fleet.traffic({
            perSecond,
            door: () => oneOf(world, doors),
            ask: () => ({ holdMs: 100, tiers: ["silver"] }),
          });
          world.advance(20_000);
          refused.add(seed, (100 * unwell(fleet.fates)) / fleet.counts.asked);
        }
        report(refused);
        expect(refused.worst, String(refused)).toBeLessThan(0.5);
      },
      longMs,
    );
  }
});

describe("a host that drains and leaves", () => {
  for (const [size, seeds] of [
    [3, 20],
    [10, 10],
    [100, 1],
    [500, longRun ? 1 : 0],
  ] as const) {
    test.skipIf(seeds === 0)(
      `of ${size} gets nothing new from anybody later than 1 s after it has said so`,
      () => {
        const latest = createFigures(`N=${size} last request to a draining host, ms`, {
          of: "worst",
          most: 1000,
        });
        const failed = createFigures(`N=${size} draining host, requests not answered`, {
          of: "worst",
          most: 0,
        });
        for (const seed of seedsOf(seeds, size > 100 ? 1 : 100)) {
          const { world, fleet, inspector } = scene(seed, size, () => ({ slots: 8, queueLimit: 16 }));
          const leaver = named(fleet, "h0");
          const hot = fleet.up.slice(1, 1 + Math.ceil(size / 3));
          const noticesAt = { ms: Number.POSITIVE_INFINITY };
          fleet.traffic({
            perSecond: rateFor(8 * size, 0.4),
            // Clients need half a second to see that it drains; until then it forwards.
            door: () =>
              oneOf(world, world.random() < 0.6 ? hot : fleet.up.slice(world.now > noticesAt.ms ? 1 : 0)),
            ask: askOf(world),
          });
          world.advance(1500 + 500 * world.random());
          fleet.drain(leaver);
          noticesAt.ms = world.now + 500;
          world.advance(2500);
          fleet.leave(leaver);
          world.advance(200);
          fleet.crash(leaver, true);
          world.advance(2000);
          latest.add(seed, inspector.latest.announcedMs);
          failed.add(seed, unwell(fleet.fates));
        }
        report(latest, failed);
        expect(failed.worst, String(failed)).toBe(0);
      },
      longMs,
    );
  }
});

describe("a rolling restart under half load", () => {
  for (const [size, seeds] of [
    [3, 10],
    [10, 2],
  ] as const) {
    test(
      `of ${size} costs no request`,
      () => {
        const failed = createFigures(`N=${size} rolling restart, requests not answered`, {
          of: "worst",
          most: 0,
        });
        for (const seed of seedsOf(seeds, 200)) {
          const kind = { slots: 8, queueLimit: 32 };
          const { world, fleet } = scene(seed, size, () => kind);
          fleet.traffic({
            perSecond: rateFor(8 * size, 0.5),
            door: ready(world, fleet),
            ask: askOf(world),
          });
          world.advance(1000);
          for (const { name } of fleet.up) {
            const before = named(fleet, name);
            fleet.drain(before);
            const isDone = (): boolean =>
              before.fleet.endpoints.every(({ inflight, waiting }) => inflight + waiting === 0);
            expect([seed, world.until(isDone, 10_000)]).not.toEqual([seed, undefined]);
            fleet.leave(before);
            world.advance(200);
            fleet.crash(before, true);
            world.advance(500);
            fleet.start(name, kind, 0);
            const isKnown = (): boolean => fleet.up.every((each) => each.fleet.peers.length === size - 1);
            expect([seed, world.until(isKnown, 10_000)]).not.toEqual([seed, undefined]);
          }
          world.advance(2000);
          failed.add(seed, unwell(fleet.fates));
        }
        report(failed);
        expect(failed.worst, String(failed)).toBe(0);
      },
      longMs,
    );
  }
});

describe("a host that is killed under load", () => {
  for (const [size, seeds] of [
    [3, 20],
    [10, 10],
    [100, longRun ? 1 : 0],
  ] as const) {
    for (const refuses of [true, false]) {
      test.skipIf(seeds === 0)(
        `of ${size} and ${refuses ? "refuses" : "is silent"} costs no request but those that had their first byte, and gets nothing from anybody 250 ms after its first`,
        () => {
          const failed = createFigures(`N=${size} killed, ${refuses ? "refusing" : "silent"}, not answered`);
          const latest = createFigures(
            `N=${size} killed, ${refuses ? "refusing" : "silent"}, last touch, ms`,
            { of: "worst", most: 255 },
          );
          for (const seed of seedsOf(seeds, 100)) {
            const { world, fleet, inspector } = scene(seed, size, () => ({ slots: 8, queueLimit: 16 }));
            const hot = fleet.up.slice(1, 1 + Math.ceil(size / 3));
            fleet.traffic({
              perSecond: rateFor(8 * size, 0.5),
              door: () => oneOf(world, world.random() < 0.6 ? hot : fleet.up),
              ask: askOf(world),
            });
            world.advance(2000);
            fleet.crash(named(fleet, "h0"), refuses);
            world.advance(8000);
            failed.add(seed, unwell(fleet.fates) - fleet.fates.lost);
            latest.add(seed, inspector.latest.touchedMs);
          }
          report(failed, latest);
          expect(failed.worst, String(failed)).toBe(0);
        },
        longMs,
      );
    }
  }
});

describe("30 % of the hosts killed under 60 % load", () => {
  for (const [size, seeds] of [
    [10, 5],
    [100, 1],
    [500, longRun ? 1 : 0],
  ] as const) {
    for (const load of size > 10 && !longRun ? [0.6] : [0.6, 1]) {
      test.skipIf(seeds === 0)(
        `of ${size} ${load === 1 ? "and 100 % load " : ""}leave survivors that do 90 % of what they can and eject none of one another (fault 26)`,
        () => {
          const undone = createFigures(
            `N=${size} 30 % killed at ${load * 100} % load, undone of what they can, %`,
            { of: "worst", most: 10 },
          );
          for (const seed of seedsOf(seeds, size > 100 ? 1 : 20)) {
            const { world, fleet } = scene(seed, size, () => ({ slots: 8, queueLimit: 8 }));
            const offered = rateFor(8 * size, load);
            fleet.traffic({ perSecond: offered, door: ready(world, fleet), ask: askOf(world) });
            world.advance(3000);
            for (let index = 0; index < 0.3 * size; index += 1)
              fleet.crash(named(fleet, `h${index}`), world.random() < 0.5);
            const { up } = fleet;
            for (const part of [0, 1]) {
              const before = up.reduce((sum, { served }) => sum + served, 0);
              const askedBefore = fleet.counts.asked;
              world.advance(4000);
              const served = (up.reduce((sum, each) => sum + each.served, 0) - before) / 4;
              const asked = (fleet.counts.asked - askedBefore) / 4;
              const can = Math.min(asked, rateFor(slotsOf(up), 1));
              undone.add(seed, Math.max(0, 100 - (100 * served) / can));
              if (part === 0) continue;
              const lost = up.flatMap((router) =>
                router.fleet.peers.filter(
                  (peer) =>
                    up.some(({ name }) => name === peer.peer?.host.name) && !available(peer, world.now),
                ),
              );
              expect([seed, lost.map(({ spec }) => spec.name)]).toEqual([seed, []]);
            }
          }
          report(undone);
          expect(undone.worst, String(undone)).toBeLessThanOrEqual(10);
          measured(
            26,
            `${size} hosts at ${load * 100} % load: survivors did ${(100 - undone.worst).toFixed(1)} % of what they could, in the worst of ${seedsOf(seeds, size > 100 ? 1 : 20).length} runs, and ejected 0 % of one another`,
          );
        },
        longMs,
      );
    }
  }
});

test(
  "a joiner is used little by little while others have room: never above twice its ramp",
  () => {
    const over = createFigures("N=10 joiner beside room, most above its ramp, times", {
      of: "worst",
      most: 2,
    });
    for (const seed of seedsOf(3, 100)) {
      const { world, fleet } = scene(seed, 9, () => ({ slots: 8 }));
      const old = fleet.up;
      const [hot] = old;
      if (hot === undefined) throw new Error("nobody is there");
      fleet.traffic({ perSecond: rateFor(8, 3), door: () => hot, ask: askOf(world) });
      world.advance(1000);
      const joiner = fleet.start("new", { slots: 32 }, 0);
      let most = 0;
      for (const until = world.now + 35_000; world.now < until; ) {
        world.advance(50);
        const ramp = Math.max(1, 32 * slowStartWeight(joiner.startedAt, world.now));
        most = Math.max(most, (joiner.fleet.local[0]?.inflight ?? 0) / ramp);
      }
      over.add(seed, most);
    }
    report(over);
    expect(over.worst, String(over)).toBeLessThanOrEqual(2);
  },
  longMs,
);

test(
  "a joiner among hosts that are full is used at once: nobody is refused for the sake of its ramp",
  () => {
    const used = createFigures("N=10 joiner among full hosts, used after 3 s, %");
    for (const seed of seedsOf(3, 100)) {
      const { world, fleet } = scene(seed, 9, () => ({ slots: 8 }));
      const old = fleet.up;
      fleet.traffic({ perSecond: rateFor(72 + 32, 1.3), door: () => oneOf(world, old), ask: askOf(world) });
      world.advance(1000);
      const joiner = fleet.start("new", { slots: 32 }, 0);
      world.advance(3000);
      const before = joiner.served;
      world.advance(5000);
      used.add(seed, (100 * (joiner.served - before) * holdMs) / (32 * 5000));
    }
    report(used);
    expect(used.mean, String(used)).toBeGreaterThan(70);
  },
  longMs,
);

test(
  "far peers are asked only where no near one has room for us, or one is more pressed by a quarter",
  () => {
    const calm = createFigures("N=12 in 3 zones, one hot host, forwarded far, %");
    const hot = createFigures("N=12 in 3 zones, one hot zone, forwarded far, %");
    const failed = createFigures("N=12 in 3 zones, requests not answered");
    for (const seed of seedsOf(3, 100)) {
      for (const [figures, isHot] of [
        [calm, (index: number) => index === 0],
        [hot, (index: number) => index % 3 === 0],
      ] as const) {
        let near = 0;
        let far = 0;
        const pressures = (peers: readonly EndpointState[]): number[] =>
          peers.map((peer) => peer.pressure(world.now));
        const { world, fleet } = scene(
          seed,
          12,
          (index) => ({ slots: 8, queueLimit: 8, zone: `z${index % 3}` }),
          {
            decided({ door, request, tried }, decision) {
              if (decision.do !== "try" || decision.endpoint.peer === undefined) return;
              if (decision.endpoint.peer.host.zone === door.kind.zone) {
                near += 1;
                return;
              }
              far += 1;
              const ready = door.fleet
                .places("gold")
                .near.filter((peer) => whyNot(peer, request, tried, world.now) === undefined);
              const most = Math.max(...pressures(ready));
              if (ready.length > 0 && most <= decision.endpoint.pressure(world.now) + 0.25)
                throw new Error(`${door.name} goes far at a near pressure of ${most}`);
            },
          },
        );
        const { up } = fleet;
        const hotOnes = up.filter((_, index) => isHot(index));
        fleet.traffic({ perSecond: rateFor(96, 0.02), door: () => oneOf(world, up), ask: askOf(world) });
        fleet.traffic({
          perSecond: rateFor(hotOnes.length * 8, 1.4),
          door: () => oneOf(world, hotOnes),
          ask: askOf(world),
        });
        world.advance(8000);
        figures.add(seed, (100 * far) / (near + far));
        failed.add(seed, unwell(fleet.fates));
      }
    }
    report(calm, hot, failed);
    expect(calm.mean, String(calm)).toBeLessThan(40);
    expect(hot.mean, String(hot)).toBeGreaterThan(60);
    expect(failed.worst, String(failed)).toBe(0);
  },
  longMs,
);

for (const [size, seeds] of [
  [12, 3],
  [80, longRun ? 1 : 0],
] as const)
  test.skipIf(seeds === 0)(
    `all but a twentieth of the requests of a session meet at one endpoint of ${size / 2}, whichever door they come to, and a member that leaves moves only its own`,
    () => {
      const astray = createFigures(`N=${size}, sessions, not where they were, %`);
      const moved = createFigures(`N=${size}, sessions of others moved by a leaving member, %`);
      for (const seed of seedsOf(seeds, 20)) {
        const homes = new Map<string, Map<string, number>>();
        const { world, fleet } = scene(seed, size, (index) => ({ slots: index < size / 2 ? 0 : 64 }), {
          ended({ ask: { session }, answeredBy }) {
            if (session === undefined || answeredBy === undefined) return;
            const seen = homes.get(session) ?? new Map<string, number>();
            homes.set(session, seen.set(answeredBy, (seen.get(answeredBy) ?? 0) + 1));
          },
        });
        const last = `h${size - 1}`;
        const doors = fleet.up.slice(0, size / 2);
        fleet.traffic({
          perSecond: rateFor(32 * size, 0.1),
          door: () => oneOf(world, doors),
          ask: () => ({ holdMs, session: `player-${Math.floor(10 * size * world.random())}` }),
        });
        world.advance(8000);
        const usual = (): Map<string, string> =>
          new Map(
            homes.entries().map(([session, seen]) => {
              const [most] = [...seen].sort((a, b) => b[1] - a[1]);
              return [session, most?.[0] ?? ""];
            }),
          );
        const before = usual();
        const all = homes.values().reduce((sum, seen) => sum + seen.values().reduce((a, b) => a + b, 0), 0);
        const home = homes.values().reduce((sum, seen) => sum + Math.max(...seen.values()), 0);
        astray.add(seed, (100 * (all - home)) / all);
        fleet.drain(named(fleet, last));
        world.advance(1500);
        fleet.leave(named(fleet, last));
        homes.clear();
        world.advance(8000);
        const others = [...usual()].filter(
          ([session, now]) => before.get(session) !== `${last}/vllm` && before.get(session) !== now,
        );
        moved.add(seed, (100 * others.length) / before.size);
      }
      report(astray, moved);
      expect(astray.worst, String(astray)).toBeLessThan(5);
      expect(moved.worst, String(moved)).toBeLessThan(3);
    },
    longMs,
  );

test(
  "a host whose figures grow old looks half used at best, and after ten seconds gets nothing",
  () => {
    for (const seed of seedsOf(5, 100)) {
      const { world, fleet } = scene(seed, 3, () => ({ slots: 8 }));
      const [one, two, mute] = fleet.up;
      if (one === undefined || two === undefined || mute === undefined) throw new Error("three are up");
      mute.mute = true;
      const seen = (): number => one.fleet.named(`${mute.name}/vllm`)?.pressure(world.now) ?? Number.NaN;
      world.advance(2000);
      expect([seed, seen()]).toEqual([seed, 0]);
      world.advance(2000);
      expect([seed, seen()]).toEqual([seed, 0.5]);
      world.advance(7500);
      for (let each = 0; each < 40; each += 1) fleet.send(one, { holdMs });
      world.advance(1000);
      expect([seed, mute.served, two.served, fleet.fates.shed]).toEqual([seed, 0, 8, 24]);
    }
  },
  longMs,
);
