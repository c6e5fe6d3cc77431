// Of which tiers this router is short: a request of its own found no room among peers of that tier a moment ago. Who is
// short says so in its advert, and only among those who are, and those whose own slots are all in use, is it shared out
// what a host has free (news-share.ts).

import type { Instant } from "../base/clock.ts";
import type { Tier } from "./endpoint.ts";
import { tiers } from "./endpoint.ts";

export const shortageRule = {
  /** Two adverts of a large fleet: who wants more all the time is counted all the time. */
  keptMs: 2000,
} as const;

export interface Shortage {
  /** A request of ours found no room among peers of that tier. */
  missed(tier: Tier, now: Instant): void;
  of(now: Instant): readonly Tier[];
}

export function createShortage(): Shortage {
  const missedAt = new Map<Tier, Instant>();
  return {
    missed: (tier, now) => void missedAt.set(tier, now),
    of: (now) =>
      tiers.filter((tier) => {
        const at = missedAt.get(tier);
        return at !== undefined && now - at <= shortageRule.keptMs;
      }),
  };
}
