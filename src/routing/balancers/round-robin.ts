// Everybody in turn, whatever the load: the one that was picked longest ago.

import type { Balancer } from "./balancer.ts";

export const roundRobin: Balancer = ([first, ...others]) => {
  let best = first;
  for (const other of others) if (other.lastPick < best.lastPick) best = other;
  return best;
};
