// What must hold of every decision of every router, whatever happens: judged by what gossip has told it and by what is so,
// not by what its fleet makes of that. One inspector watches one fleet.

import type { Member } from "../../src/cluster/member.ts";
import { readAdvert } from "../../src/fleet/advert.ts";
import type { EndpointView } from "../../src/fleet/endpoint-view.ts";
import { peerLoadRule } from "../../src/fleet/peer-load.ts";
import { slowStartWeight } from "../../src/fleet/slow-start.ts";
import { canAnswerIn } from "../../src/routing/admission.ts";
import { whyNot } from "../../src/routing/candidates.ts";
import type { Decision } from "../../src/routing/decision.ts";
import type { Journey, RoutedFleet, Router } from "./routed-fleet.ts";
import type { World } from "./world.ts";

export interface RoutingInspector {
  decided(journey: Journey, decision: Decision): void;
  sent(door: Router, host: string): void;
  reached(to: Router): void;
  hinted(door: Router, endpoint: string): void;
  /** The fleet that it watches; nothing is checked before. */
  fleet: RoutedFleet | undefined;
  /** False where faults may keep news from arriving, or a router from acting on it in time. */
  inTime: boolean;
  /** The latest that anybody has sent to a host after its announcement, and to one that it knew to be dead. */
  readonly latest: { announcedMs: number; touchedMs: number };
}

const rule = {
  announcedMs: 1000,
  /** As long as it takes to find out that nobody connects there, and the ways. */
  touchedMs: 255,
} as const;

export function createRoutingInspector(world: () => World): RoutingInspector {
  /** By door and endpoint. */
  const hintedAt = new Map<string, number>();
  /** By door and run: when the first attempt since its death was sent. */
  const touchedAt = new Map<string, number>();

  const memberOf = (door: Router, name: string): Member | undefined =>
    door.run.gossip.members().find(({ claim }) => claim.name === name);

  /** By the news alone: whether more than half of the others are doubted or leaving. */
  const isPanic = (door: Router): boolean => {
    let others = 0;
    let eligible = 0;
    for (const { claim, state } of door.run.gossip.members()) {
      if (claim.name === door.name || state === "dead" || state === "left") continue;
      others += 1;
      if (state === "alive" && readAdvert(claim.meta)?.draining !== true) eligible += 1;
    }
    return eligible * 2 < others;
  };

  const freeHere = ({ door, request, tried }: Journey): boolean =>
    request.elsewhere !== true &&
    door.fleet.local.some((own) => {
      const { spec, inflight, health } = own;
      const leftMs = request.deadline - world().now;
      return (
        spec.tier === request.ladder[0]?.tier &&
        health !== "unhealthy" &&
        inflight < spec.slots &&
        canAnswerIn(own, true, leftMs, world().now) &&
        leftMs > 0 &&
        tried.every(({ endpoint }) => endpoint !== spec.name)
      );
    });

  const roomBeside = ({ door, request, tried }: Journey, chosen: EndpointView): boolean =>
    door.fleet
      .inTier(chosen.spec.tier)
      .some((other) => other !== chosen && whyNot(other, request, tried, world().now) === undefined);

  const sentTo = (journey: Journey, decision: Extract<Decision, { do: "try" }>, fleet: RoutedFleet): void => {
    const { door } = journey;
    const { endpoint, because } = decision;
    const { peer, spec } = endpoint;
    if (peer === undefined) return;
    const { now } = world();
    const { name } = peer.host;
    const way = `${door.name} to ${spec.name}, ${because}`;
    must(!freeHere(journey), `${way}, although a slot of its own is free`);

    const member = memberOf(door, name);
    const advert = member && readAdvert(member.claim.meta);
    must(member !== undefined && advert !== undefined, `${way}: nobody knows it`);
    must(member.state === "alive" || member.state === "suspect", `${way}: it is ${member.state}`);
    must(member.state === "alive" || (because === "panic" && isPanic(door)), `${way}: it is suspect`);
    must(!advert.draining, `${way}: it is draining, and says so`);
    const told = advert.engines.find((engine) => `${name}/${engine.name}` === spec.name);
    must(told?.state === "ok", `${way}: its engine is ${told?.state}, and its router says so`);

    const newsAt = Math.max(member.metaAt, hintedAt.get(`${door.name} ${spec.name}`) ?? 0);
    const ageMs = now - newsAt;
    must(ageMs <= peerLoadRule.uselessMs, `${way}: last heard of ${ageMs} ms ago`);
    if (ageMs > peerLoadRule.staleMs)
      must(endpoint.pressure(now) >= peerLoadRule.neutral, `${way}: stale figures make it look idle`);

    const to = fleet.routers.get(name);
    if (to === undefined) throw new Error(`${way}: there never was such a host`);
    const ramp = Math.ceil(spec.slots * slowStartWeight(to.startedAt, now));
    // It may be known by its last run yet, which owed no ramp; and where nobody else has room, all of it may be used.
    must(
      endpoint.inflight < Math.max(1, ramp) ||
        peer.host.boot !== to.run.boot ||
        !roomBeside(journey, endpoint),
      `${way}: ${endpoint.inflight} there, a joiner may have ${ramp}`,
    );

    if (to.announcedAt !== undefined) {
      const lateMs = now - to.announcedAt;
      inspector.latest.announcedMs = Math.max(inspector.latest.announcedMs, lateMs);
      if (inspector.inTime) must(lateMs <= rule.announcedMs, `${way}: it said ${lateMs} ms ago that it goes`);
    }
    if (to.diedAt !== undefined && because !== "panic") {
      const touchedMs = now - (touchedAt.get(`${door.name} ${to.run.boot}`) ?? now);
      inspector.latest.touchedMs = Math.max(inspector.latest.touchedMs, touchedMs);
      if (inspector.inTime)
        must(touchedMs <= rule.touchedMs, `${way}: it has found it dead ${touchedMs} ms ago`);
    }
  };

  const inspector: RoutingInspector = {
    fleet: undefined,
    inTime: true,
    latest: { announcedMs: 0, touchedMs: 0 },
    decided(journey, decision) {
      const { fleet } = inspector;
      if (fleet === undefined) return;
      if (decision.do === "try") return sentTo(journey, decision, fleet);
      must(!freeHere(journey), `${journey.door.name}: ${decision.because}, although a slot is free`);
      if (decision.do === "wait" || !isPanic(journey.door)) return;
      const { door, request, tried } = journey;
      for (const peer of door.fleet.peers) {
        const isServed = request.ladder.some(({ tier }) => tier === peer.spec.tier);
        must(
          !isServed || whyNot(peer, request, tried, world().now) !== "suspect",
          `${door.name}: ${decision.because}, although only suspicion stands against ${peer.spec.name}, as against most`,
        );
      }
    },
    sent(door, host) {
      const to = inspector.fleet?.routers.get(host);
      const key = `${door.name} ${to?.run.boot}`;
      if (to?.diedAt !== undefined && !touchedAt.has(key)) touchedAt.set(key, world().now);
    },
    reached(to) {
      for (const { spec, inflight } of to.fleet.local)
        must(inflight <= spec.slots, `${spec.name} holds ${inflight} with ${spec.slots} slots`);
    },
    hinted: (door, endpoint) => void hintedAt.set(`${door.name} ${endpoint}`, world().now),
  };
  return inspector;
}

function must(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what);
}
