// By which deadlines requests wait for an endpoint, so that one more can tell how many go before it. Two orders, for those
// who would rather be in another tier wait behind all others.

import type { Instant } from "../base/clock.ts";
import { placeAfter } from "../base/place-after.ts";

export function createRoomOrder() {
  /** Ascending. */
  const atHome: Instant[] = [];
  const spilledHere: Instant[] = [];
  const orderOf = (spilled: boolean): Instant[] => (spilled ? spilledHere : atHome);

  return {
    entered(deadline: Instant, spilled: boolean): void {
      const order = orderOf(spilled);
      order.splice(placeAfter(order, deadline, itself), 0, deadline);
    },
    left(deadline: Instant, spilled: boolean): void {
      const order = orderOf(spilled);
      const place = placeAfter(order, deadline, itself) - 1;
      if (order[place] === deadline) order.splice(place, 1);
    },
    /** How many go before one more with that deadline; without one it is the last of its order. */
    before(spilled: boolean, deadline: Instant = Number.POSITIVE_INFINITY): number {
      return (spilled ? atHome.length : 0) + placeAfter(orderOf(spilled), deadline, itself);
    },
  };
}

const itself = (deadline: Instant): number => deadline;
