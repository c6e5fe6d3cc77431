// The table of balancers: how to choose among one tier's endpoints that all have room. One row, one file.

import type { Balancer } from "./balancer.ts";
import { leastPressure } from "./least-pressure.ts";
import { p2c } from "./p2c.ts";
import { roundRobin } from "./round-robin.ts";

export const balancers = {
  "least-pressure": leastPressure,
  p2c,
  "round-robin": roundRobin,
} as const satisfies Record<string, Balancer>;

export type BalancerName = keyof typeof balancers;
export const balancerNames = Object.keys(balancers) as [BalancerName, ...BalancerName[]];
