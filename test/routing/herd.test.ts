// Scenario 27: every router is full, and one host advertises that it is idle. What reaches it must stay below twice its
// capacity, and it must be used all the same. The real fleet and the real policy, in virtual time.

import { describe, expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import type { Advert } from "../../src/fleet/advert.ts";
import { advertEveryMs } from "../../src/fleet/advert.ts";
import type { Fleet } from "../../src/fleet/fleet.ts";
import { createFleet } from "../../src/fleet/fleet.ts";
import { balancers } from "../../src/routing/balancers/balancers.ts";
import type { RoutingRequest } from "../../src/routing/request.ts";
import { route } from "../../src/routing/route.ts";
import { advertWith, engineThere, idleLoad } from "../support/adverts.ts";

interface Herd {
  readonly routers: number;
  readonly slots: number;
  /** How long news takes, at most. */
  readonly lagMs: number;
  readonly holdMs: number;
  readonly seconds: number;
  readonly seed: number;
  /** Who has something to give away; default: all. */
  readonly senders?: number;
  /** So many requests come at once; default: one. */
  readonly burst?: number;
}

const start = 1_000_000;
const firstByteMs = 40;

/** Every router has a hundred requests a second to give away. */
function stampede({ routers, slots, lagMs, holdMs, seconds, seed, senders = routers, burst = 1 }: Herd) {
  const random = seededRandom(seed);
  const events: { at: number; act: (now: number) => void }[] = [];
  const later = (at: number, act: (now: number) => void): void => {
    let place = events.length;
    while (place > 0 && (events[place - 1]?.at ?? 0) > at) place -= 1;
    events.splice(place, 0, { at, act });
  };

  let inflight = 0;
  let reached = 0;
  let busyMs = 0;
  let busySince = start;
  const moved = (by: number, now: number): void => {
    busyMs += inflight * (now - busySince);
    busySince = now;
    inflight += by;
  };

  const names = Array.from({ length: routers }, (_, index) => `full-${index}`);
  const load = (now: number) => ({ ...idleLoad, at: Math.round(now), inflight });
  const advertAt = (now: number): Advert =>
    advertWith([engineThere({ slots, load: load(now) })], { upMs: 1e6 });
  /** They have been at it for a while: who has something to give away has said so. */
  const adverts = names.map((name, index): readonly [string, Advert] => [
    name,
    { ...advertAt(0), engines: [], ...(index < senders && { short: ["gold"] }) },
  ]);

  const fleets = names.map((name): Fleet => {
    const fleet = createFleet([], { name, zone: undefined });
    for (const [other, advert] of adverts) {
      if (other !== name)
        fleet.setPeer({ name: other, boot: "1", state: "alive", advert, advertAt: start }, start);
    }
    return fleet;
  });

  const send = (fleet: Fleet, now: number): void => {
    const request: RoutingRequest = {
      sla: "realtime",
      ladder: [{ tier: "gold", balance: balancers["least-pressure"] }],
      model: undefined,
      stream: true,
      deadline: now + 120_000,
    };
    const decision = route(request, fleet, [], now, random);
    const endpoint = decision.do === "try" ? fleet.named(decision.endpoint.spec.name) : undefined;
    if (endpoint === undefined) return;
    endpoint.begin("m", true, fleet.nextPick(), now);
    later(now + 1, (arrived) => {
      reached += 1;
      if (inflight >= slots) {
        const told = load(arrived);
        later(arrived + 1, (at) => {
          endpoint.told(told, at);
          endpoint.end({ kind: "busy", model: "m", stream: true, totalMs: 2 }, at, random);
        });
        return;
      }
      moved(1, arrived);
      later(arrived + firstByteMs, (first) => {
        const told = load(first);
        later(first + 1, (at) => endpoint.told(told, at));
      });
      later(arrived + holdMs, (end) => {
        moved(-1, end);
        const outcome = { kind: "ok", model: "m", stream: true, firstByteMs, totalMs: holdMs } as const;
        later(end + 1, (at) => void endpoint.end(outcome, at, random));
      });
    });
  };

  const speak = (now: number): void => {
    const advert = advertAt(now);
    for (const fleet of fleets) {
      later(now + random() * lagMs, (at) =>
        fleet.setPeer({ name: "idle", boot: "1", state: "alive", advert, advertAt: at }, at),
      );
    }
    later(now + advertEveryMs(routers), speak);
  };
  later(start, speak);
  const tick = (now: number): void => {
    for (const fleet of fleets.slice(0, senders))
      for (let each = 0; each < burst; each += 1) send(fleet, now);
    later(now + 10 * burst, tick);
  };
  later(start, tick);

  const until = start + seconds * 1000;
  for (let event = events.shift(); event !== undefined && event.at < until; event = events.shift())
    event.act(event.at);
  moved(0, until);
  return { reached, used: busyMs / (slots * seconds * 1000) };
}

describe("an idle host among full ones", () => {
  for (const routers of [2, 3, 5, 20, 100]) {
    // As old as the news may be, by the cost table of the simulation: a piece of it is out every 250 ms, and every second
    // in a large fleet.
    const lags = routers > 32 ? [50, 1000, 2000] : [50, 300, 600];
    for (const slots of [1, 4, 64]) {
      // The one slot may fall to two more before its host has said that it is taken.
      const most = slots === 1 ? 3 : 2 * slots;
      test(`with ${slots} slots and ${routers} routers around it is reached by at most ${most} requests`, () => {
        for (const seed of [1, 2]) {
          for (const lagMs of lags) {
            for (const burst of [1, 80]) {
              // Nothing ends while we look, so whatever reaches it is there together.
              const { reached } = stampede({
                routers,
                slots,
                lagMs,
                holdMs: 60_000,
                seconds: 3,
                seed,
                burst,
              });
              expect(reached).toBeGreaterThan(0);
              expect([lagMs, burst, reached]).toEqual([lagMs, burst, Math.min(reached, most)]);
            }
          }
        }
      });
    }
  }

  for (const routers of [2, 20, 100]) {
    test(`is used to seven eighths by the ${routers} routers around it`, () => {
      const { used } = stampede({ routers, slots: 64, lagMs: 600, holdMs: 500, seconds: 5, seed: 1 });
      expect(used).toBeGreaterThan(0.87);
    });

    test(`is used to nine tenths by one of ${routers} routers, where only that has too much to do`, () => {
      const { used } = stampede({
        routers,
        slots: 16,
        senders: 1,
        lagMs: 600,
        holdMs: 150,
        seconds: 20,
        seed: 1,
      });
      expect(used).toBeGreaterThan(0.9);
    });
  }
});
