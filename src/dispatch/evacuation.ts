// Who waits for a first byte where, and how they leave an endpoint that has fallen silent.

import type { Clock, Instant } from "../base/clock.ts";
import type { Asked } from "../engines/look.ts";
import type { EndpointState } from "../fleet/endpoint-state.ts";
import type { WaitingRooms } from "./waiting-room.ts";

/** A call that is owed its first byte. */
export interface UnansweredCall extends Asked {
  /** Leaves if there is a place elsewhere. Resolves when that place is taken; undefined where it stays. */
  leaveIfBetter(now: Instant): Promise<void> | undefined;
}

export interface Evacuation {
  /** Until the returned function is called. */
  enlist(endpoint: EndpointState, call: UnansweredCall): () => void;
  /** Whoever waits there, and has somewhere to go, goes. */
  evacuate(endpoint: EndpointState): void;
  /** What has been owed longest: the question of a look should be of the same sort. */
  askedOf(endpoint: EndpointState): Asked | undefined;
}

export function createEvacuation(rooms: WaitingRooms, clock: Clock): Evacuation {
  const unanswered = new WeakMap<EndpointState, Set<UnansweredCall>>();
  const evacuating = new WeakSet<EndpointState>();

  /** One at a time, for every leaver must see what the one before took. */
  const leaveOneByOne = async (endpoint: EndpointState): Promise<void> => {
    if (evacuating.has(endpoint)) return;
    evacuating.add(endpoint);
    try {
      for (const call of [...(unanswered.get(endpoint) ?? [])]) await call.leaveIfBetter(clock.now());
    } finally {
      evacuating.delete(endpoint);
    }
  };

  return {
    enlist(endpoint, call) {
      const calls = unanswered.get(endpoint) ?? new Set();
      unanswered.set(endpoint, calls.add(call));
      return () => calls.delete(call);
    },
    evacuate(endpoint) {
      void leaveOneByOne(endpoint);
      rooms.empty(endpoint);
    },
    askedOf(endpoint) {
      return unanswered.get(endpoint)?.values().next().value;
    },
  };
}
