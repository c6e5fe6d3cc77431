// Everybody is asked and the least pressed wins: exact, and cheap for the few engines of one host.

import type { Balancer } from "./balancer.ts";

export const leastPressure: Balancer = (candidates, now) => {
  let best = candidates[0];
  let bestPressure = best.pressure(now);
  for (const other of candidates) {
    if (other === best) continue;
    const pressure = other.pressure(now);
    // Among equals the one picked longest ago, so that idle engines take turns and stay warm.
    if (pressure < bestPressure || (pressure === bestPressure && other.lastPick < best.lastPick)) {
      best = other;
      bestPressure = pressure;
    }
  }
  return best;
};
