// Whoever has a slot only as long as no player wants it: this host's own jobs, here or at a peer, and what peers send
// here of class async. They leave before a player's request looks for a slot, so that it finds one.

import type { Clock } from "../base/clock.ts";
import type { Leaving } from "../base/departure.ts";
import { Departure, whenLeft } from "../base/departure.ts";
import type { Random } from "../base/random.ts";
import type { Dispatch } from "../dispatch/dispatch.ts";
import type { Dispatched } from "../dispatch/dispatched.ts";
import type { InferenceRequest } from "../dispatch/inference-request.ts";
import { refusalOf } from "../dispatch/refusal.ts";
import type { EndpointState } from "../fleet/endpoint-state.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { admissionRule, retryAfterMs } from "../routing/admission.ts";
import { route } from "../routing/route.ts";
import { yieldAt } from "./spare.ts";

export const playersFirstRule = {
  /** How often guests are held against what others need: what peers and engines say of themselves comes by itself. */
  watchMs: 250,
} as const;

export interface Guest {
  /** Where it holds a slot; undefined: nowhere yet, or no longer. */
  at: EndpointState | undefined;
  /** It was told to leave. */
  readonly sentAway: boolean;
  /** It holds nothing any more. */
  over(): void;
}

export interface PlayersFirst {
  /** `leave` is called at most once, when it is to go; it goes on to `over` at once. */
  enter(leave: () => void): Guest;
  /** Dispatch for everybody but this host's own jobs. Peers' are guests: sent away they are refused, as by a full engine. */
  around(dispatch: Dispatch): Dispatch;
}

export interface PlayersFirstParts {
  readonly fleet: Fleet;
  readonly clock: Clock;
  readonly random: Random;
}

interface Staying extends Guest {
  sentAway: boolean;
  readonly leave: () => void;
  readonly left: Promise<void>;
}

export function createPlayersFirst({ fleet, clock, random }: PlayersFirstParts): PlayersFirst {
  /** The newest last: it has the least to lose. No more than there are slots, and jobs that look for one. */
  const guests = new Set<Staying>();
  let stopWatch: (() => void) | undefined;

  /** Sends guests away, the newest first, from where somebody arrives or too much is going on. Answers which. */
  const makeRoom = (arrives: (endpoint: EndpointState) => boolean): Staying[] => {
    const now = clock.now();
    const leaving: Staying[] = [];
    for (const [endpoint, there] of Map.groupBy(guests, ({ at }) => at)) {
      if (endpoint === undefined) continue;
      const many = yieldAt(endpoint, there.length, arrives(endpoint) ? 1 : 0, now);
      leaving.push(...there.slice(there.length - many));
    }
    for (const guest of leaving) {
      guest.sentAway = true;
      guest.at = undefined;
      guest.leave();
    }
    return leaving;
  };

  /** Where the request would rather be than where it would go now: a full engine of its own host is in its way. */
  const missedBy = (request: InferenceRequest): ((endpoint: EndpointState) => boolean) => {
    const { only } = request;
    if (only !== undefined) return ({ spec }) => spec.name === only;
    const tiers = request.ladder.map(({ tier }) => tier);
    const decision = route(request, fleet, [], clock.now(), random);
    if (!("endpoint" in decision)) return ({ spec }) => tiers.includes(spec.tier);
    const { spec: got, peer } = decision.endpoint;
    const isHere = decision.do === "try" && peer === undefined;
    const missed = tiers.slice(0, tiers.indexOf(got.tier) + (isHere ? 0 : 1));
    return ({ spec }) => missed.includes(spec.tier);
  };

  const watch = (): void => {
    makeRoom(() => false);
    stopWatch = guests.size === 0 ? undefined : clock.after(playersFirstRule.watchMs, watch);
  };

  const enter = (leave: () => void): Guest => {
    const { promise: left, resolve } = Promise.withResolvers<void>();
    const guest: Staying = {
      at: undefined,
      sentAway: false,
      leave,
      left,
      over() {
        guests.delete(guest);
        resolve();
        if (guests.size > 0) return;
        stopWatch?.();
        stopWatch = undefined;
      },
    };
    guests.add(guest);
    stopWatch ??= clock.after(playersFirstRule.watchMs, watch);
    return guest;
  };

  /** Once its answer is relayed it is a guest no more, for nothing could be said in the place of what has gone out. */
  const asGuest = async (
    request: InferenceRequest,
    callerLeft: Leaving,
    onward: Dispatch,
  ): Promise<Dispatched> => {
    const departure = new Departure();
    const leave = (): void => departure.abort();
    const forget = whenLeft(callerLeft, leave);
    const guest = enter(leave);
    const taken = (endpoint: EndpointState): void => {
      guest.at = endpoint;
    };
    try {
      const dispatched = await onward({ ...request, taken }, departure);
      return dispatched.kind === "gone" && guest.sentAway ? sentAway(dispatched, random) : dispatched;
    } finally {
      guest.over();
      forget();
    }
  };

  return {
    enter,
    around: (onward) => (request, callerLeft) => {
      if (isGuest(request)) return asGuest(request, callerLeft, onward);
      if (guests.size === 0) return onward(request, callerLeft);
      const leaving = makeRoom(missedBy(request));
      if (leaving.length === 0) return onward(request, callerLeft);
      // A slot is free when its call is over, which takes some turns of the queue of promises and no time.
      return Promise.all(leaving.map(({ left }) => left)).then(() => onward(request, callerLeft));
    },
  };
}

/** What a peer has forwarded, can wait, and has nothing of its answer until all of it is there: a job. */
const isGuest = ({ only, sla, stream }: InferenceRequest): boolean =>
  only !== undefined && sla === "async" && !stream;

function sentAway({ journey }: Extract<Dispatched, { kind: "gone" }>, random: Random): Dispatched {
  const because = "pool-full";
  const waitMs = retryAfterMs(admissionRule.retryAfterMs, random);
  const refusal = refusalOf([], false, { do: "shed", because, retryAfterMs: waitMs }, random);
  return { kind: "refusal", ...refusal, journey: { ...journey, because } };
}
