// Power of two choices: two at random, the less pressed wins. For many endpoints whose load is known late.

import type { Balancer } from "./balancer.ts";

export const p2c: Balancer = (candidates, now, random) => {
  const { length } = candidates;
  const one = Math.min(length - 1, Math.floor(random() * length));
  // A second draw over the others, so that two different ones are compared.
  const two = (one + 1 + Math.min(length - 2, Math.floor(random() * (length - 1)))) % length;
  const a = candidates[one] ?? candidates[0];
  const b = candidates[two] ?? candidates[0];
  return b.pressure(now) < a.pressure(now) ? b : a;
};
