// Where requests wait for a slot: one room an endpoint, ordered by deadline. Whoever is woken asks routing again.

import type { Clock, Instant } from "../base/clock.ts";
import type { Leaving } from "../base/departure.ts";
import type { EndpointState } from "../fleet/endpoint-state.ts";

/** Why a wait ended. */
export type Wake = "woken" | "expired" | "left";

export interface WaitingRooms {
  /** The caller has checked that the room has a place. `signal` is the caller's leaving; `shares`: see `EndpointView.sharing`. */
  wait(
    endpoint: EndpointState,
    deadline: Instant,
    maxWaitMs: number,
    signal: Leaving,
    shares?: boolean,
  ): Promise<Wake>;
  /** Slots of this endpoint are free, one unless said: its most urgent waiters go, or else the most urgent of its tier. */
  slotFreed(endpoint: EndpointState, places?: number): void;
  /** The endpoint takes nothing for now, or is gone: all who wait for it must look elsewhere. */
  empty(endpoint: EndpointState): void;
}

interface Waiter {
  readonly endpoint: EndpointState;
  readonly deadline: Instant;
  leave(wake: Wake): void;
}

export function createWaitingRooms(clock: Clock): WaitingRooms {
  /** Most urgent first. All rooms in one list, because a free slot may serve the neighbour's waiter. */
  const waiters: Waiter[] = [];

  const insert = (waiter: Waiter): void => {
    let low = 0;
    let high = waiters.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const other = waiters[middle];
      if (other !== undefined && other.deadline <= waiter.deadline) low = middle + 1;
      else high = middle;
    }
    waiters.splice(low, 0, waiter);
  };

  return {
    wait(endpoint, deadline, maxWaitMs, signal, shares = false) {
      if (signal.aborted) return Promise.resolve("left");
      return new Promise((resolve) => {
        const leave = (wake: Wake): void => {
          const place = waiters.indexOf(waiter);
          if (place < 0) return;
          waiters.splice(place, 1);
          endpoint.leaveRoom(shares);
          cancelTimer();
          signal.removeEventListener("abort", onAbort);
          resolve(wake);
        };
        const waiter: Waiter = { endpoint, deadline, leave };
        const onAbort = (): void => leave("left");
        const cancelTimer = clock.after(maxWaitMs, () => leave("expired"));
        signal.addEventListener("abort", onAbort);
        endpoint.enterRoom(shares);
        insert(waiter);
      });
    },
    slotFreed(endpoint, places = 1) {
      const { tier } = endpoint.spec;
      for (let place = 0; place < places && waiters.length > 0; place += 1) {
        // Whose time is over, and whose timer is late, has no use for a slot.
        const now = clock.now();
        const inTime = waiters.filter((waiter) => waiter.deadline > now);
        const own = inTime.find((waiter) => waiter.endpoint === endpoint);
        const next = own ?? inTime.find((waiter) => waiter.endpoint.spec.tier === tier);
        if (next === undefined) return;
        next.leave("woken");
      }
    },
    empty(endpoint) {
      for (const waiter of waiters.filter((each) => each.endpoint === endpoint)) waiter.leave("woken");
    },
  };
}
