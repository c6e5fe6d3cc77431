// Where requests wait for a slot: one room an endpoint, ordered by deadline, in which nobody's many stand before the
// others' few. Whoever is woken asks routing again. All rooms share one timer for the endpoints that take nothing for now.

import type { Clock, Instant } from "../base/clock.ts";
import type { Leaving } from "../base/departure.ts";
import { placeAfter } from "../base/place-after.ts";
import type { EndpointState } from "../fleet/endpoint-state.ts";
import type { Holds } from "../fleet/flows.ts";
import { pushBackRule } from "../fleet/push-back.ts";

/**
 * Why a wait ended: the endpoint that has a free slot, or that its own takes nothing any more. `displaced`: the room was
 * full, and somebody who holds less took the place.
 */
export type Wake = EndpointState | "emptied" | "expired" | "left" | "displaced";

export interface WaitingRooms {
  /**
   * The caller has checked that the room has a place, or somebody in it to make one. `signal` is the caller's leaving,
   * `holds` the terms on which it stands in this room, `terms` those on which it would take a free slot, here or elsewhere;
   * undefined: on none.
   */
  wait(
    endpoint: EndpointState,
    deadline: Instant,
    maxWaitMs: number,
    signal: Leaving,
    holds: Holds,
    terms: (endpoint: EndpointState) => Holds | undefined,
  ): Promise<Wake>;
  /**
   * Slots of this endpoint are free, one unless said: of its waiters, or else of those of its tier, or else of all others,
   * go first who hold less than an even part of it, by urgency; then the others, those who hold less first; then, in the
   * same order, those who would rather be elsewhere.
   */
  slotFreed(endpoint: EndpointState, places?: number): void;
  /**
   * A call there is over: if the endpoint takes nothing more for a while, whoever waits is called when that is over; one
   * first, where nobody tries it.
   */
  ended(endpoint: EndpointState, now: Instant): void;
  /** A call there has begun: the same, and it is tried. */
  began(endpoint: EndpointState, now: Instant): void;
  /** It takes more from now on, as whoever tried it has shown: as many are called as have room there. */
  takesMore(endpoint: EndpointState, now: Instant): void;
  /** The endpoint takes nothing for now, or is gone: all who wait for it must look elsewhere. */
  empty(endpoint: EndpointState): void;
}

interface Waiter {
  readonly endpoint: EndpointState;
  readonly deadline: Instant;
  readonly holds: Holds;
  terms(endpoint: EndpointState): Holds | undefined;
  leave(wake: Wake): void;
}

/** When an endpoint is looked at again, and whether one has been called to it already. */
interface Opening {
  readonly at: Instant;
  readonly tried: boolean;
}

const deadlineOf = ({ deadline }: Waiter): Instant => deadline;

export function createWaitingRooms(clock: Clock): WaitingRooms {
  /** Most urgent first. All rooms in one list, because a free slot may serve the neighbour's waiter. */
  const waiters: Waiter[] = [];
  /** Of endpoints that take nothing for a while: at most one each. */
  const openings = new Map<EndpointState, Opening>();
  let lookAt: Instant = Number.POSITIVE_INFINITY;
  let cancelLook = (): void => undefined;

  /** The least urgent of those who have the most reason to. */
  const makePlace = (endpoint: EndpointState, newcomer: Holds): void => {
    let best: Waiter | undefined;
    let bestReason = 0;
    for (const waiter of waiters) {
      if (waiter.endpoint !== endpoint) continue;
      const reason = endpoint.yieldsTo(waiter.holds, newcomer);
      if (reason <= 0 || reason < bestReason) continue;
      best = waiter;
      bestReason = reason;
    }
    best?.leave("displaced");
  };

  /** In which turn who wants a slot of that endpoint on such terms would go; undefined: not at all. */
  const turnOf = ({ flow, spilled = false }: Holds, endpoint: EndpointState, now: Instant) => {
    if (flow === undefined) return 0;
    if (endpoint.overShare(flow, spilled, now)) return undefined;
    return (spilled ? turns.spilled : 0) + endpoint.excess(flow);
  };

  const nextFor = (endpoint: EndpointState, now: Instant, ofItsTier: boolean): Waiter | undefined => {
    const { tier } = endpoint.spec;
    let next: Waiter | undefined;
    let nextTurn = Number.POSITIVE_INFINITY;
    for (const waiter of waiters) {
      const isOwn = waiter.endpoint === endpoint;
      if ((waiter.endpoint.spec.tier === tier) !== ofItsTier) continue;
      // Whose time is over, and whose timer is late, has no use for a slot.
      if (waiter.deadline <= now) continue;
      // Woken in vain, it would be woken again and again, and nobody else.
      const holds = waiter.terms(endpoint);
      const turn = holds && turnOf(holds, endpoint, now);
      if (turn === undefined) continue;
      // Of other tiers all stand alike, and the most urgent comes first.
      const wholeTurn = isOwn || !ofItsTier ? turn : turns.neighbour + turn;
      if (wholeTurn === 0) return waiter;
      if (wholeTurn < nextTurn) {
        next = waiter;
        nextTurn = wholeTurn;
      }
    }
    return next;
  };

  const slotFreed = (endpoint: EndpointState, places = 1): void => {
    for (let place = 0; place < places && waiters.length > 0; place += 1) {
      const now = clock.now();
      const next = nextFor(endpoint, now, true) ?? nextFor(endpoint, now, false);
      if (next === undefined) return;
      next.leave(endpoint);
    }
  };

  /** The timer runs only while somebody waits. */
  const planLook = (): void => {
    let next = Number.POSITIVE_INFINITY;
    if (waiters.length > 0) for (const { at } of openings.values()) next = Math.min(next, at);
    if (next === lookAt) return;
    cancelLook();
    lookAt = next;
    if (next < Number.POSITIVE_INFINITY) cancelLook = clock.after(next - clock.now(), look);
  };

  const watch = (endpoint: EndpointState, now: Instant, tried: boolean): void => {
    const at = endpoint.admitsAt(now);
    // Who tries it before its time is no sign for others.
    if (at === undefined || (tried && openings.get(endpoint)?.at === at)) return;
    // Whoever comes has asked routing a moment ago: what had opened by then is no news.
    if (waiters.length === 0)
      for (const [other, opening] of openings) if (opening.at <= now) openings.delete(other);
    openings.set(endpoint, { at, tried });
    planLook();
  };

  const look = (): void => {
    lookAt = Number.POSITIVE_INFINITY;
    const now = clock.now();
    for (const [endpoint, { at, tried }] of openings) {
      if (now < at) continue;
      const nextAt = endpoint.admitsAt(now);
      if (nextAt !== undefined) openings.set(endpoint, { at: nextAt, tried });
      else if (tried) openings.delete(endpoint);
      else openings.set(endpoint, { at: now + pushBackRule.triedMs, tried: true });
      const free = freeSlotsOf(endpoint, now);
      slotFreed(endpoint, tried && nextAt === undefined ? free : Math.min(1, free));
    }
    planLook();
  };

  return {
    wait(endpoint, deadline, maxWaitMs, signal, holds, terms) {
      if (signal.aborted) return Promise.resolve("left");
      if (endpoint.waiting >= endpoint.spec.queueLimit) makePlace(endpoint, holds);
      return new Promise((resolve) => {
        const leave = (wake: Wake): void => {
          const place = waiters.indexOf(waiter);
          if (place < 0) return;
          waiters.splice(place, 1);
          endpoint.leaveRoom(holds, deadline);
          cancelTimer();
          signal.removeEventListener("abort", onAbort);
          if (waiters.length === 0) planLook();
          resolve(wake);
        };
        const waiter: Waiter = { endpoint, deadline, holds, terms, leave };
        const onAbort = (): void => leave("left");
        const cancelTimer = clock.after(maxWaitMs, () => leave("expired"));
        signal.addEventListener("abort", onAbort);
        endpoint.enterRoom(holds, deadline, clock.now());
        waiters.splice(placeAfter(waiters, deadline, deadlineOf), 0, waiter);
        if (openings.size > 0) planLook();
      });
    },
    slotFreed,
    ended: (endpoint, now) => watch(endpoint, now, false),
    began: (endpoint, now) => watch(endpoint, now, true),
    takesMore: (endpoint, now) => slotFreed(endpoint, freeSlotsOf(endpoint, now)),
    empty(endpoint) {
      openings.delete(endpoint);
      for (const waiter of waiters.filter((each) => each.endpoint === endpoint)) waiter.leave("emptied");
    },
  };
}

const freeSlotsOf = ({ peer, spec, inflight }: EndpointState, now: Instant): number =>
  peer?.freeSlots(now) ?? spec.slots - inflight;

/** Each above all that comes before it: nobody's excess is larger than an endpoint's slots. */
const turns = { spilled: 1e6, neighbour: 1e9 } as const;
