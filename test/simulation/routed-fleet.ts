// Routers over a simulated membership: each has the real fleet and asks the real policy; engines and the wire between
// routers are slots, held for a while. What a router hears goes into its fleet as src/cluster-link.ts has it, and a
// request takes the way of src/dispatch/dispatch.ts, with its retry budget and its waiting rooms.

import type { Clock } from "../../src/base/clock.ts";
import { Departure } from "../../src/base/departure.ts";
import type { MembershipEvent } from "../../src/cluster/member.ts";
import { dispatchRule } from "../../src/dispatch/dispatch.ts";
import type { RetryBudget } from "../../src/dispatch/retry-budget.ts";
import { createRetryBudget } from "../../src/dispatch/retry-budget.ts";
import type { WaitingRooms } from "../../src/dispatch/waiting-room.ts";
import { createWaitingRooms } from "../../src/dispatch/waiting-room.ts";
import { createAdvertsHeard } from "../../src/fleet/adverts-heard.ts";
import type { Tier } from "../../src/fleet/endpoint.ts";
import type { EndpointState } from "../../src/fleet/endpoint-state.ts";
import type { Fleet } from "../../src/fleet/fleet.ts";
import { createFleet } from "../../src/fleet/fleet.ts";
import type { Holds } from "../../src/fleet/flows.ts";
import { loadHint, readLoadHint } from "../../src/fleet/load.ts";
import type { OutcomeKind } from "../../src/fleet/outcome.ts";
import { outcomeRow } from "../../src/fleet/outcome.ts";
import { createOwnAdvert } from "../../src/fleet/own-advert.ts";
import { balancers } from "../../src/routing/balancers/balancers.ts";
import { mayCallAway } from "../../src/routing/call-away.ts";
import type { Decision } from "../../src/routing/decision.ts";
import { missedTiers } from "../../src/routing/missed.ts";
import type { RoutingRequest, Tried } from "../../src/routing/request.ts";
import { route } from "../../src/routing/route.ts";
import { defaultWireLimits } from "../../src/wire/limits.ts";
import type { Run, World } from "./world.ts";
import { allSee } from "./world.ts";

export interface HostKind {
  readonly zone?: string;
  readonly tier?: Tier;
  /** 0: a door without an engine. */
  readonly slots: number;
  readonly queueLimit?: number;
}

export interface Router {
  readonly name: string;
  readonly kind: HostKind;
  readonly run: Run;
  readonly fleet: Fleet;
  readonly startedAt: number;
  publish(): void;
  readonly budget: RetryBudget;
  readonly rooms: WaitingRooms;
  /** What ends the calls that it serves, where its process dies. */
  readonly serving: Set<() => void>;
  draining: boolean;
  /** It gossips and says nothing new of itself. */
  mute: boolean;
  /** Whether its host answers for its dead process. */
  refuses: boolean;
  /** When everybody should have begun to leave it alone. */
  announcedAt: number | undefined;
  diedAt: number | undefined;
  publishedAt: number;
  served: number;
}

export interface Ask {
  readonly holdMs: number;
  readonly firstByteMs?: number;
  readonly deadlineMs?: number;
  readonly tiers?: readonly Tier[];
  readonly session?: string;
}

export interface Journey {
  readonly door: Router;
  readonly request: RoutingRequest;
  readonly ask: Ask;
  readonly tried: Tried[];
  /** Attempts whose successor has been paid for, and whether the one free move is used up. */
  paidFor: number;
  leftFree: boolean;
  wokenBy: EndpointState | undefined;
  answeredBy: string | undefined;
}

/** `lost`: cut after its first byte, or with its door. `gave-up`: three attempts, or no budget for one more. */
export type Fate = "answered" | "shed" | "late" | "gave-up" | "lost";

/** Looks on; throws at what must not be. */
export interface Watch {
  decided?(journey: Journey, decision: Decision): void;
  /** What was decided is paid for, and on its way. */
  sent?(door: Router, host: string): void;
  /** A forwarded request is at its host; false: it is refused there. */
  reached?(to: Router, isTaken: boolean): void;
  hinted?(door: Router, endpoint: string): void;
  ended?(journey: Journey, fate: Fate): void;
}

export interface Traffic {
  perSecond: number;
  /** Undefined: nobody is there to be asked. */
  readonly door: () => Router | undefined;
  readonly ask: () => Ask;
}

export interface RoutedFleet {
  /** By name, the latest run of each. */
  readonly routers: ReadonlyMap<string, Router>;
  readonly up: readonly Router[];
  readonly fates: Record<Fate, number>;
  readonly counts: { asked: number; forwarded: number; refusedThere: number; waited: number };
  start(name: string, kind: HostKind, upMs?: number): Router;
  /** Until all know all, with what they serve. */
  settle(): void;
  send(door: Router, ask: Ask): void;
  traffic(traffic: Traffic): Traffic;
  drain(router: Router): void;
  leave(router: Router): void;
  crash(router: Router, refuses: boolean): void;
}

export type Decide = typeof route;

const rule = {
  /** As cluster-link.ts looks for something new to say. */
  lookMs: 250,
  firstByteLimitMs: 2000,
  firstByteMs: 40,
  deadlineMs: 30_000,
  /** Hosts that have been up for long owe no slow start. */
  longUpMs: 60_000,
} as const;

const model = "m";

export function createRoutedFleet(world: World, watch: Watch = {}, decide: Decide = route): RoutedFleet {
  const { random } = world;
  const routers = new Map<string, Router>();
  const fates: RoutedFleet["fates"] = { answered: 0, shed: 0, late: 0, "gave-up": 0, lost: 0 };
  const counts: RoutedFleet["counts"] = { asked: 0, forwarded: 0, refusedThere: 0, waited: 0 };
  const legMs = (): number => world.faults.delayMs + world.faults.jitterMs * random();

  /** Where it is up and awake by then; a paused one does it when it wakes. */
  const at = (router: Router, delayMs: number, action: () => void): void =>
    world.later(delayMs, () => world.act(router.run, action));

  const end = (journey: Journey, fate: Fate): void => {
    journey.wokenBy = passOn(journey);
    fates[fate] += 1;
    watch.ended?.(journey, fate);
  };

  const passOn = ({ door, wokenBy }: Journey): undefined => {
    if (wokenBy !== undefined) door.rooms.slotFreed(wokenBy);
  };

  /** A slot of an engine of `router`'s own, for as long as the answer takes. */
  const hold = (router: Router, endpoint: EndpointState, ask: Ask, first: () => void, over: () => void) => {
    const { holdMs, firstByteMs = rule.firstByteMs } = ask;
    endpoint.begin(model, true, router.fleet.nextPick(), world.now);
    router.served += 1;
    at(router, Math.min(firstByteMs, holdMs), () => {
      endpoint.heard(world.now);
      first();
    });
    at(router, holdMs, () => {
      endpoint.end({ kind: "ok", model, stream: true, firstByteMs, totalMs: holdMs }, world.now, random);
      router.rooms.slotFreed(endpoint);
      over();
    });
  };

  const forward = (journey: Journey, endpoint: EndpointState, host: string): void => {
    const { door, request, ask } = journey;
    const began = world.now;
    let firstByteMs: number | undefined;
    let isOver = false;
    const over = (kind: OutcomeKind, retryAfterMs?: number): void => {
      if (isOver) return;
      isOver = true;
      routers.get(host)?.serving.delete(cut);
      const now = world.now;
      const outcome = { kind, model, stream: true, firstByteMs, totalMs: now - began, retryAfterMs };
      const moved = endpoint.end(outcome, now, random);
      if (moved === "opened" || outcomeRow(kind).bars) door.rooms.empty(endpoint);
      else door.rooms.slotFreed(endpoint);
      door.rooms.ended(endpoint, now);
      if (kind === "ok") {
        journey.answeredBy = endpoint.spec.name;
        end(journey, "answered");
      } else if (firstByteMs !== undefined) end(journey, "lost");
      else {
        journey.tried.push({ endpoint: endpoint.spec.name, outcome: kind });
        if (kind === "busy") door.fleet.missed(endpoint.spec.tier, now);
        if (kind === "deadline") end(journey, "late");
        else next(journey);
      }
    };
    const back = (action: () => void): void => at(door, legMs(), () => !isOver && action());
    const cut = (): void => back(() => over("reset"));
    const told = (hint: string): void => {
      const load = readLoadHint(hint);
      if (load === undefined) throw new Error(`${host} hints what cannot be read: ${hint}`);
      endpoint.told(load, world.now);
      watch.hinted?.(door, endpoint.spec.name);
    };

    const serve = (to: Router): void => {
      // The caller has hung up.
      if (isOver) return;
      const own = to.fleet.named(endpoint.spec.name);
      const refuse = (retryAfterMs?: number): void => {
        counts.refusedThere += 1;
        watch.reached?.(to, false);
        const hint = own && loadHint(own.load(world.now));
        back(() => {
          if (hint !== undefined) told(hint);
          over("busy", retryAfterMs);
        });
      };
      if (to.draining || own === undefined) {
        refuse();
        return;
      }
      const [rung] = request.ladder.filter(({ tier }) => tier === endpoint.spec.tier);
      const forwarded: RoutingRequest = {
        ...request,
        ladder: rung === undefined ? [] : [rung],
        session: undefined,
        elsewhere: undefined,
        only: endpoint.spec.name,
      };
      const decision = route(forwarded, to.fleet, [], world.now, random);
      if (decision.do === "shed") {
        refuse(decision.retryAfterMs);
        return;
      }
      if (decision.do !== "try" || decision.endpoint !== own || own.peer !== undefined)
        throw new Error(`${to.name} did not take at once, and itself, what ${door.name} forwarded`);
      hold(
        to,
        own,
        ask,
        () => {
          const hint = loadHint(own.load(world.now));
          back(() => {
            told(hint);
            endpoint.heard(world.now);
            firstByteMs = world.now - began;
          });
        },
        () => back(() => over("ok")),
      );
      watch.reached?.(to, true);
    };

    endpoint.begin(model, true, door.fleet.nextPick(), began);
    door.rooms.began(endpoint, began);
    counts.forwarded += 1;
    watch.sent?.(door, host);
    world.later(legMs(), () => {
      const to = routers.get(host);
      if (to?.run.up === true) {
        to.serving.add(cut);
        world.act(to.run, () => serve(to));
      } else if (to?.refuses === true) back(() => over("refused"));
      else at(door, defaultWireLimits.connectMs, () => over("unreachable"));
    });
    at(door, rule.firstByteLimitMs, () => firstByteMs === undefined && over("timeout"));
    at(door, request.deadline - began, () => over("deadline"));
  };

  const next = (journey: Journey): void => {
    const { door, request, tried, ask } = journey;
    const { fleet } = door;
    const now = world.now;
    const decision = decide(request, fleet, tried, now, random);
    watch.decided?.(journey, decision);
    for (const tier of missedTiers(decision, request, fleet, tried, now)) fleet.missed(tier, now);
    if (decision.do === "shed") {
      end(journey, now >= request.deadline ? "late" : "shed");
      return;
    }
    if (decision.do === "defer") throw new Error("a request was deferred where there is no lane");
    const endpoint = fleet.named(decision.endpoint.spec.name);
    if (endpoint === undefined)
      throw new Error(`routing chose ${decision.endpoint.spec.name}, which is gone`);
    if (tried.length > journey.paidFor) {
      const free = !journey.leftFree && outcomeRow(tried.at(-1)?.outcome ?? "ok").evacuation === true;
      if (tried.length >= dispatchRule.attemptsMost || !(free || door.budget.spend(now))) {
        end(journey, "gave-up");
        return;
      }
      journey.leftFree ||= free;
      journey.paidFor = tried.length;
    }
    if (decision.do === "wait") {
      counts.waited += 1;
      const { wokenBy } = journey;
      if (wokenBy !== undefined && wokenBy.inflight < wokenBy.spec.slots) passOn(journey);
      const terms = (free: EndpointState): Holds | undefined =>
        free === endpoint || mayCallAway(decision, free, request, fleet, tried, world.now) ? {} : undefined;
      void door.rooms
        .wait(endpoint, request.deadline, decision.maxWaitMs, new Departure(), {}, terms)
        .then((wake) => {
          journey.wokenBy = typeof wake === "string" ? undefined : wake;
          next(journey);
        });
      return;
    }
    if (journey.wokenBy !== endpoint) passOn(journey);
    journey.wokenBy = undefined;
    if (endpoint.peer !== undefined) {
      forward(journey, endpoint, endpoint.peer.host.name);
      return;
    }
    const answered = (): void => {
      journey.answeredBy = endpoint.spec.name;
      end(journey, "answered");
    };
    hold(door, endpoint, ask, () => {}, answered);
  };

  const start: RoutedFleet["start"] = (name, kind, upMs = rule.longUpMs) => {
    const { zone, tier = "gold", slots, queueLimit = 0 } = kind;
    const spec = { name: `${name}/vllm`, tier, locality: "local", slots, queueLimit } as const;
    const fleet = createFleet(slots === 0 ? [] : [{ spec, identity: name, models: [model] }], { name, zone });
    const startedAt = world.now - upMs;
    let self: Router | undefined;
    const adverts = createAdvertsHeard();
    const hear = (event: MembershipEvent): void => {
      if (!("member" in event) || event.kind === "forgotten" || event.member.claim.name === name) return;
      fleet.setPeer(adverts.factsOf(event.member), world.now);
    };
    const ownAdvert = createOwnAdvert(fleet, (now) => ({
      name,
      public: `http://${name}:8010`,
      zone,
      draining: self?.draining === true,
      upMs: now - startedAt,
      intents: undefined,
    }));
    const publish = (): void => {
      if (router.mute || run.gossip.yielded) return;
      const advert = ownAdvert.due(world.now, run.gossip.counts().alive);
      if (advert === undefined) return;
      run.gossip.publish(advert);
      router.publishedAt = world.now;
    };
    const look = (): void => {
      at(router, rule.lookMs, look);
      publish();
    };

    const seeds = [...routers.values()].slice(0, 3).map(({ run }) => run.address);
    const run = world.start(name, {
      seeds: () => (seeds.length === 0 ? [`${name}:8012`] : seeds),
      meta: ownAdvert.read(world.now),
      tell: hear,
    });
    const clock: Clock = {
      now: () => world.now,
      wallMs: () => world.now,
      after(delayMs, action) {
        let isOff = false;
        world.later(delayMs, () => isOff || world.act(run, () => isOff || action()));
        return () => {
          isOff = true;
        };
      },
    };
    const router: Router = {
      name,
      kind,
      run,
      fleet,
      startedAt,
      publish,
      budget: createRetryBudget(() => slots, world.now),
      rooms: createWaitingRooms(clock),
      serving: new Set(),
      draining: false,
      mute: false,
      refuses: false,
      announcedAt: undefined,
      diedAt: undefined,
      publishedAt: world.now,
      served: 0,
    };
    self = router;
    routers.set(name, router);
    at(router, rule.lookMs * random(), look);
    return router;
  };

  const traffic = (each: Traffic): Traffic => {
    const arrive = (): void => {
      world.later((-Math.log(1 - random()) * 1000) / Math.max(0.001, each.perSecond), arrive);
      const door = each.perSecond === 0 ? undefined : each.door();
      if (door !== undefined) world.act(door.run, () => send(door, each.ask()));
    };
    arrive();
    return each;
  };

  const send: RoutedFleet["send"] = (door, ask) => {
    const { tiers = ["gold"], deadlineMs = rule.deadlineMs, session } = ask;
    counts.asked += 1;
    door.budget.earn(world.now);
    const request: RoutingRequest = {
      sla: "interactive",
      ladder: tiers.map((tier) => ({ tier, balance: balancers["least-pressure"] })),
      model: undefined,
      stream: true,
      deadline: world.now + deadlineMs,
      session,
      elsewhere: door.draining,
    };
    const tried: Tried[] = [];
    next({
      door,
      request,
      ask,
      tried,
      paidFor: 0,
      leftFree: false,
      wokenBy: undefined,
      answeredBy: undefined,
    });
  };

  const fleet: RoutedFleet = {
    routers,
    get up() {
      return [...routers.values()].filter(({ run }) => run.up);
    },
    fates,
    counts,
    start,
    settle() {
      const all = fleet.up;
      const engines = all.filter(({ kind }) => kind.slots > 0).length;
      const isSettled = (): boolean =>
        all.every((each) => each.fleet.endpoints.length === engines) &&
        allSee(
          all.map(({ run }) => run),
          "alive",
        );
      if (world.until(isSettled, 30_000) === undefined)
        throw new Error(`seed ${world.seed}: ${all.length} routers did not find one another in 30 s`);
      // Fresh fleets move in step; a while later they do not.
      world.advance(1500 + 500 * random());
    },
    send: (door, ask) => world.act(door.run, () => send(door, ask)),
    traffic,
    drain(router) {
      router.draining = true;
      router.announcedAt ??= world.now;
      world.act(router.run, router.publish);
    },
    leave(router) {
      router.announcedAt ??= world.now;
      world.act(router.run, (gossip) => void gossip.leave());
    },
    crash(router, refuses) {
      router.refuses = refuses;
      router.diedAt = world.now;
      world.crash(router.run, refuses);
      if (refuses) for (const cut of router.serving) cut();
      router.serving.clear();
    },
  };
  return fleet;
}
