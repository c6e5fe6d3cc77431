// By which deadlines requests wait for an endpoint, so that one more can tell how many go before it. Two orders, for those
// who would rather be in another tier wait behind all others.

import type { Instant } from "../base/clock.ts";

export function createRoomOrder() {
  /** Ascending. */
  const atHome: Instant[] = [];
  const spilledHere: Instant[] = [];
  const orderOf = (spilled: boolean): Instant[] => (spilled ? spilledHere : atHome);

  return {
    entered(deadline: Instant, spilled: boolean): void {
      const order = orderOf(spilled);
      order.splice(placeAfter(order, deadline), 0, deadline);
    },
    left(deadline: Instant, spilled: boolean): void {
      const order = orderOf(spilled);
      const place = placeAfter(order, deadline) - 1;
      if (order[place] === deadline) order.splice(place, 1);
    },
    /** How many go before one more with that deadline; without one it is the last of its order. */
    before(spilled: boolean, deadline: Instant = Number.POSITIVE_INFINITY): number {
      return (spilled ? atHome.length : 0) + placeAfter(orderOf(spilled), deadline);
    },
  };
}

/** Behind all that are as urgent. */
function placeAfter(order: readonly Instant[], deadline: Instant): number {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((order[middle] ?? Number.POSITIVE_INFINITY) <= deadline) low = middle + 1;
    else high = middle;
  }
  return low;
}
