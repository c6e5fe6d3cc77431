// Where requests wait for a slot: one room an endpoint, ordered by deadline, in which nobody's many stand before the
// others' few. Whoever is woken asks routing again.

import type { Clock, Instant } from "../base/clock.ts";
import type { Leaving } from "../base/departure.ts";
import { placeAfter } from "../base/place-after.ts";
import type { EndpointState } from "../fleet/endpoint-state.ts";
import type { Holds } from "../fleet/flows.ts";

/** Why a wait ended. `displaced`: the room was full, and somebody who holds less took the place. */
export type Wake = "woken" | "expired" | "left" | "displaced";

export interface WaitingRooms {
  /**
   * The caller has checked that the room has a place, or somebody in it to make one. `signal` is the caller's leaving,
   * `holds` the terms on which it wants a slot, `suits` whether a free slot of a neighbour would be of use to it.
   */
  wait(
    endpoint: EndpointState,
    deadline: Instant,
    maxWaitMs: number,
    signal: Leaving,
    holds?: Holds,
    suits?: (neighbour: EndpointState) => boolean,
  ): Promise<Wake>;
  /**
   * Slots of this endpoint are free, one unless said: of its waiters, or else of those of its tier, go first who hold
   * less than an even part of it, by urgency; then the others, those who hold less first; then, in the same order, those
   * who would rather be elsewhere.
   */
  slotFreed(endpoint: EndpointState, places?: number): void;
  /** The endpoint takes nothing for now, or is gone: all who wait for it must look elsewhere. */
  empty(endpoint: EndpointState): void;
}

interface Waiter {
  readonly endpoint: EndpointState;
  readonly deadline: Instant;
  readonly holds: Holds;
  suits(neighbour: EndpointState): boolean;
  leave(wake: Wake): void;
}

const nothing: Holds = {};

const deadlineOf = ({ deadline }: Waiter): Instant => deadline;

export function createWaitingRooms(clock: Clock): WaitingRooms {
  /** Most urgent first. All rooms in one list, because a free slot may serve the neighbour's waiter. */
  const waiters: Waiter[] = [];

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

  /** In which turn a waiter would go for a slot of that endpoint; undefined: not at all. */
  const turnOf = ({ deadline, holds }: Waiter, endpoint: EndpointState, now: Instant): number | undefined => {
    // Whose time is over, and whose timer is late, has no use for a slot.
    if (deadline <= now) return undefined;
    const { flow, spilled = false } = holds;
    if (flow === undefined) return 0;
    if (endpoint.overShare(flow, spilled, now)) return undefined;
    return (spilled ? turns.spilled : 0) + endpoint.excess(flow);
  };

  const nextFor = (endpoint: EndpointState, now: Instant): Waiter | undefined => {
    const { tier } = endpoint.spec;
    let next: Waiter | undefined;
    let nextTurn = Number.POSITIVE_INFINITY;
    for (const waiter of waiters) {
      const isOwn = waiter.endpoint === endpoint;
      if (!isOwn && waiter.endpoint.spec.tier !== tier) continue;
      const turn = turnOf(waiter, endpoint, now);
      if (turn === undefined) continue;
      // Woken in vain, it would be woken again and again, and nobody else.
      if (!isOwn && !waiter.suits(endpoint)) continue;
      const wholeTurn = isOwn ? turn : turns.neighbour + turn;
      if (wholeTurn === 0) return waiter;
      if (wholeTurn < nextTurn) {
        next = waiter;
        nextTurn = wholeTurn;
      }
    }
    return next;
  };

  return {
    wait(endpoint, deadline, maxWaitMs, signal, holds = nothing, suits = () => true) {
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
          resolve(wake);
        };
        const waiter: Waiter = { endpoint, deadline, holds, suits, leave };
        const onAbort = (): void => leave("left");
        const cancelTimer = clock.after(maxWaitMs, () => leave("expired"));
        signal.addEventListener("abort", onAbort);
        endpoint.enterRoom(holds, deadline, clock.now());
        waiters.splice(placeAfter(waiters, deadline, deadlineOf), 0, waiter);
      });
    },
    slotFreed(endpoint, places = 1) {
      for (let place = 0; place < places && waiters.length > 0; place += 1) {
        const next = nextFor(endpoint, clock.now());
        if (next === undefined) return;
        next.leave("woken");
      }
    },
    empty(endpoint) {
      for (const waiter of waiters.filter((each) => each.endpoint === endpoint)) waiter.leave("woken");
    },
  };
}

/** Each above all that comes before it: nobody's excess is larger than an endpoint's slots. */
const turns = { spilled: 1e6, neighbour: 1e9 } as const;
