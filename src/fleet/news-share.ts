// How many requests one router may send on one piece of news. All routers hear at about the same time that a host is
// idle; if each filled its free slots, it would get as many times its capacity as there are routers.

import { mix32 } from "../base/hash32.ts";

/** Two routers together cannot send more than twice what is free, so nobody has to hold back. */
const fewSenders = 2;

/**
 * The shares of all routers add up to the free slots, exactly, where all know the same routers: everybody gets as many
 * whole slots as there are, and the rest is drawn by lot, anew with each piece of news. Nobody need talk about it.
 * Where every router could have a slot, each may hold one whatever the lots say: a quiet fleet refuses nobody.
 */
export function newsShare(
  free: number,
  slots: number,
  /** Hashes of all who may send; the host of the news, which sends nothing to itself by this way, may be among them. */
  routers: ReadonlySet<number>,
  own: number,
  host: number,
  lot: number,
): number {
  if (free <= 0) return 0;
  // Who does not know itself among the routers is one of them all the same.
  const senders = routers.size - (routers.has(host) ? 1 : 0) + (routers.has(own) ? 0 : 1);
  if (senders <= fewSenders) return free;
  const ownLot = mix32(own, lot);
  let before = 0;
  for (const router of routers) if (router !== host && mix32(router, lot) < ownLot) before += 1;
  const share = Math.floor(free / senders) + (before < free % senders ? 1 : 0);
  return senders <= slots ? Math.max(1, share) : share;
}
