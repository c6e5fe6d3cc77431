// Everybody is asked and the least pressed wins: exact, and cheap for the few engines of one host.

import type { Balancer } from "./balancer.ts";

export const leastPressure: Balancer = ([first, ...others], now) => {
  let best = first;
  let bestPressure = first.pressure(now);
  for (const other of others) {
    const pressure = other.pressure(now);
    // Among equals the one picked longest ago, so that idle engines take turns and stay warm.
    if (pressure < bestPressure || (pressure === bestPressure && other.lastPick < best.lastPick)) {
      best = other;
      bestPressure = pressure;
    }
  }
  return best;
};
