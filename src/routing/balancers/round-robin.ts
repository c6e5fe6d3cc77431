// Everybody in turn, whatever the load: the one that was picked longest ago.

import type { Balancer } from "./balancer.ts";

export const roundRobin: Balancer = (candidates) => {
  let best = candidates[0];
  for (const other of candidates) if (other.lastPick < best.lastPick) best = other;
  return best;
};
