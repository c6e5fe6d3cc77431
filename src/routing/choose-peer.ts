// Which peer gets a request that finds no free slot here: the session's own, else the less pressed of two that fall by
// lot, near ones before far ones. Two and not the best of all, since everybody else is choosing by the same news.

import type { Instant } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { EndpointView } from "../fleet/endpoint-view.ts";
import type { Places } from "../fleet/fleet.ts";
import { byAffinity, homeOf } from "./affinity.ts";
import { whyNot } from "./candidates.ts";
import type { Exclusion } from "./decision.ts";
import type { RoutingRequest, Tried } from "./request.ts";

const peerChoiceRule = {
  /** A far peer is chosen where the near one is more pressed than it by more than this. */
  nearer: 0.25,
  /** Lots drawn before everybody is looked at. In a fleet with room the first two will do. */
  lots: 8,
} as const;

/** One that nothing stands against; undefined where there is none. */
export function choosePeer(
  { local, near, far }: Places,
  request: RoutingRequest,
  tried: readonly Tried[],
  now: Instant,
  random: Random,
): EndpointView | undefined {
  if (request.session !== undefined) {
    const { session } = request;
    const isDoor = local.length === 0;
    const nearOne = ofSession(near, session, isDoor, request, tried, now);
    return nearOne ?? ofSession(far, session, isDoor, request, tried, now);
  }
  const nearOne = lessPressed(near, request, tried, now, random);
  if (nearOne === undefined) return lessPressed(far, request, tried, now, random);
  const pressure = nearOne.pressure(now);
  if (far.length === 0 || pressure <= peerChoiceRule.nearer) return nearOne;
  const farOne = lessPressed(far, request, tried, now, random);
  if (farOne === undefined) return nearOne;
  return pressure > farOne.pressure(now) + peerChoiceRule.nearer ? farOne : nearOne;
}

/** Where nobody is ready: the least pressed of those that only this one thing stands against. */
export interface Unready {
  readonly joining: EndpointView | undefined;
  readonly suspect: EndpointView | undefined;
}

/** `weigh` is told what stands against each. */
export function lookOver(
  { near, far }: Places,
  request: RoutingRequest,
  tried: readonly Tried[],
  now: Instant,
  weigh: (peer: EndpointView, exclusion: Exclusion) => void,
): Unready {
  const best: { joining: EndpointView | undefined; suspect: EndpointView | undefined } = {
    joining: undefined,
    suspect: undefined,
  };
  for (const peers of [near, far]) {
    for (const peer of peers) {
      const exclusion = whyNot(peer, request, tried, now);
      if (exclusion === undefined) continue;
      weigh(peer, exclusion);
      if (exclusion !== "joining" && exclusion !== "suspect") continue;
      const other = best[exclusion];
      if (other === undefined || peer.pressure(now) < other.pressure(now)) best[exclusion] = peer;
    }
  }
  return best;
}

/**
 * From a door without an engine of the tier a session goes home although the free slots there are others' share: it has
 * no other place, and names spread sessions whatever the news. Who is merely full here is one of the herd.
 */
function ofSession(
  peers: readonly EndpointView[],
  session: string,
  isDoor: boolean,
  request: RoutingRequest,
  tried: readonly Tried[],
  now: Instant,
): EndpointView | undefined {
  const ready: EndpointView[] = [];
  const well: EndpointView[] = [];
  for (const peer of peers) {
    const exclusion = whyNot(peer, request, tried, now);
    if (exclusion === undefined) ready.push(peer);
    if (isDoor && (exclusion === undefined || isMerelyBusy(peer, exclusion))) well.push(peer);
  }
  const [first, ...others] = well;
  const home = first && homeOf([first, ...others], session);
  if (home !== undefined && whyNot(home, request, tried, now) === "spoken-for") ready.push(home);
  const [one, ...more] = ready;
  return one && byAffinity([one, ...more], session, now);
}

/** It will have room again: a session is to come back to it then. */
const isMerelyBusy = ({ peer }: EndpointView, exclusion: Exclusion): boolean =>
  peer?.host.suspect === false &&
  (exclusion === "full" ||
    exclusion === "over-share" ||
    exclusion === "spoken-for" ||
    exclusion === "pushed-back");

function lessPressed(
  peers: readonly EndpointView[],
  request: RoutingRequest,
  tried: readonly Tried[],
  now: Instant,
  random: Random,
): EndpointView | undefined {
  let one: EndpointView | undefined;
  let two: EndpointView | undefined;
  const lots = peers.length > peerChoiceRule.lots ? peerChoiceRule.lots : 0;
  for (let lot = 0; lot < lots && two === undefined; lot += 1) {
    const peer = peers[Math.floor(random() * peers.length)];
    if (peer === undefined || peer === one || whyNot(peer, request, tried, now) !== undefined) continue;
    if (one === undefined) one = peer;
    else two = peer;
  }
  if (two === undefined) {
    // Few peers, or few with room: everybody is looked at, and each of them is as likely to be one of the two.
    one = undefined;
    let found = 0;
    for (const peer of peers) {
      if (whyNot(peer, request, tried, now) !== undefined) continue;
      found += 1;
      const place = found <= 2 ? found - 1 : Math.floor(random() * found);
      if (place === 0) one = peer;
      else if (place === 1) two = peer;
    }
  }
  if (one === undefined || two === undefined) return one;
  const pressure = one.pressure(now);
  const other = two.pressure(now);
  // Among equals by lot, or those who come first in every table would get the most.
  if (pressure === other) return random() < 0.5 ? one : two;
  return other < pressure ? two : one;
}
