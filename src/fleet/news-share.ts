// How many requests one router may send on one piece of news. All routers hear at about the same time that a host is
// idle; if each of those that want more filled its free slots, it would get as many times its capacity as they are.

import { mix32 } from "../base/hash32.ts";

const newsShareRule = {
  /** Two routers together cannot send more than twice what is free, so nobody has to hold back. */
  fewSenders: 2,
  /** In so many adverts a router goes once around: two in a row fall mostly to the same, for both are out at once. */
  advertsPerRound: 20,
} as const;

/** One host's news of one endpoint. */
export interface News {
  readonly free: number;
  readonly slots: number;
  /** By the clock of its host, which it sends nothing to itself. */
  readonly at: number;
  readonly host: number;
  /** By which the routers stand in line for it. */
  readonly endpoint: number;
}

/**
 * The shares of all who are short add up to the free slots, exactly, where all know the same of them: everybody gets as
 * many whole slots as there are, and the rest goes to those whose turn it is: all go around a ring with the time of the
 * news, and are next who come to its mark soonest. Nobody need talk about it. Where each of them could have a slot, each
 * may hold one whatever the turn says. Who is not short itself takes what it would get if it were.
 */
export function newsShare(
  { free, slots, at, host, endpoint }: News,
  /** Hashes of all who are short of slots. */
  short: ReadonlySet<number>,
  own: number,
  advertEveryMs: number,
): number {
  if (free <= 0) return 0;
  const { fewSenders, advertsPerRound } = newsShareRule;
  const senders = short.size - (short.has(host) ? 1 : 0) + (short.has(own) ? 0 : 1);
  if (senders <= fewSenders) return free;
  const rounds = at / (advertsPerRound * advertEveryMs);
  /** Part of the ring before the mark. Each has a pace of its own, so that nobody is for ever close behind another. */
  const ahead = (router: number): number => {
    const start = mix32(router, endpoint);
    const pace = 0.5 + mix32(start, router) / 2 ** 32;
    const place = start / 2 ** 32 - pace * rounds;
    return place - Math.floor(place);
  };
  const ownAhead = ahead(own);
  let before = 0;
  for (const router of short) if (router !== host && ahead(router) < ownAhead) before += 1;
  const share = Math.floor(free / senders) + (before < free % senders ? 1 : 0);
  return senders <= slots ? Math.max(1, share) : share;
}
