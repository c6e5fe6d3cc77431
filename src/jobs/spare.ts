// How many jobs the fleet has room for while nobody needs that room, and how many must go when somebody does. Pure.

import type { Instant } from "../base/clock.ts";
import type { EndpointView } from "../fleet/endpoint-view.ts";
import type { FleetView } from "../fleet/fleet.ts";
import { available } from "../fleet/fleet.ts";

export const spareRule = {
  /** A job begins where less than half is in use: what a peer does not tell counts as half, so the unknown is never spare. */
  pressureBelow: 0.5,
  /** From here on the players alone have use for all of it, whatever the slots say: the engine serves others as well. */
  pressureMost: 0.9,
} as const;

/** Jobs that may begin. Those that run are part of the load. */
export function spareIn(fleet: FleetView, now: Instant): number {
  let jobs = 0;
  for (const endpoint of fleet.endpoints) if (available(endpoint, now)) jobs += spareAt(endpoint, now);
  return jobs;
}

function spareAt(endpoint: EndpointView, now: Instant): number {
  if (endpoint.waiting > 0) return 0;
  const left = spareRule.pressureBelow - endpoint.pressure(now);
  if (left <= 0) return 0;
  // Of one slot a half is none, and yet it is idle.
  const slots = Math.max(1, Math.floor(left * endpoint.spec.slots));
  return Math.min(slots, freeSlots(endpoint, now));
}

/**
 * Of `own` jobs at an endpoint, those that must leave it now. `arriving`: players who are about to ask it for a slot, and
 * would find none.
 */
export function yieldAt(endpoint: EndpointView, own: number, arriving: number, now: Instant): number {
  const others = endpoint.pressure(now) - own / endpoint.spec.slots;
  // A peer sees to its own engines: what it says of them is late here, and counts our jobs among the others'.
  if (endpoint.peer === undefined && others >= spareRule.pressureMost) return own;
  const lacking = endpoint.waiting + arriving - freeSlots(endpoint, now);
  return Math.max(0, Math.min(own, lacking));
}

const freeSlots = ({ inflight, spec, peer }: EndpointView, now: Instant): number =>
  peer === undefined ? Math.max(0, spec.slots - inflight) : Math.max(0, peer.freeSlots(now));
