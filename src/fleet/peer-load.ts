// How loaded an endpoint behind a peer is: what its host said last, what we have sent there since, and how much of that
// news is ours to use.

import type { Instant } from "../base/clock.ts";
import type { Load } from "./load.ts";

export const peerLoadRule = {
  /** Older than this a figure is unknown: neither idle nor full. */
  staleMs: 3000,
  /** Older than this nobody knows anything, and nothing new is sent. */
  uselessMs: 10_000,
  /** The part of its slots that is taken to be used where nothing is known. */
  neutral: 0.5,
} as const;

/** `own` are always the calls of this router that are in flight there now. */
export interface PeerLoad {
  /** Its host told everybody. */
  announced(load: Load, own: number, now: Instant): void;
  /** Its host told us, with an answer. */
  hinted(load: Load, own: number, now: Instant): void;
  /** One of ours is over. */
  ended(own: number): void;
  /** Slots that others hold or wait for, as far as is known; neutral where it is not. */
  usedByOthers(slots: number, now: Instant): number;
  /** Whether one more of ours is within our share of the news. */
  permits(slots: number, own: number): boolean;
  /** The last figure, while it is not stale. */
  known(now: Instant): Load | undefined;
  useless(now: Instant): boolean;
}

/** Answers how many of an endpoint's free slots are ours, by the time that the news carries. */
export type ShareOf = (free: number, slots: number, at: number) => number;

export function createPeerLoad(shareOf: ShareOf): PeerLoad {
  let last: Load | undefined;
  let lastAt: Instant = Number.NEGATIVE_INFINITY;
  /** Of ours, those that were in flight all the while between the last two figures: the last one counts them for sure. */
  let ownIncluded = 0;
  let leastOwn = 0;
  /** The last that everybody was told, and those of ours that it counts: in their place there may be others. */
  let news: Load | undefined;
  let ownInNews = 0;
  /** Of this news, by the slots that count; worked out where it is asked for, since it costs a look at every router. */
  const shares = new Map<number, number>();
  let granted = 0;

  const take = (load: Load, own: number, now: Instant): boolean => {
    // A hint may overtake the gossip, and a suspicion brings an advert that we have.
    if (last !== undefined && load.at <= last.at) return false;
    last = load;
    lastAt = now;
    ownIncluded = Math.min(leastOwn, own);
    leastOwn = own;
    return true;
  };

  return {
    announced(load, own, now) {
      if (!take(load, own, now)) return;
      news = load;
      // What we sent and its host had perhaps not seen yet is part of our share of this news already.
      ownInNews = ownIncluded;
      shares.clear();
      granted = 0;
    },
    hinted(load, own, now) {
      take(load, own, now);
      // Told to one router only and answering one request: one more for each can at most double what is there.
      granted = own + 1;
    },
    ended(own) {
      leastOwn = Math.min(leastOwn, own);
    },
    usedByOthers(slots, now) {
      if (last === undefined || now - lastAt > peerLoadRule.staleMs) return slots * peerLoadRule.neutral;
      return Math.max(0, last.inflight + last.waiting - ownIncluded);
    },
    permits(slots, own) {
      if (own < granted) return true;
      let share = shares.get(slots);
      if (share === undefined) {
        const used = news === undefined ? slots * peerLoadRule.neutral : news.inflight + news.waiting;
        share = shareOf(Math.floor(slots - used), slots, news?.at ?? 0);
        shares.set(slots, share);
      }
      return own < ownInNews + share;
    },
    known: (now) => (now - lastAt > peerLoadRule.staleMs ? undefined : last),
    useless: (now) => now - lastAt > peerLoadRule.uselessMs,
  };
}
