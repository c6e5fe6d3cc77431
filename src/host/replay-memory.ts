// Remembers which messages have come, so that none counts twice. What it has forgotten is too old to be let in again,
// whatever made it forget.

export type Verdict = "fresh" | "stale" | "replayed";

export interface ReplayMemory {
  /** Remembers the nonce where it is fresh. */
  judge(nonce: string, stampMs: number, nowMs: number): Verdict;
  /** The stamp nearest to `nowMs` that can be fresh: what to tell a sender whose clock is wrong. */
  nearestMs(nowMs: number): number;
  readonly size: number;
}

const replayRule = {
  /** How far a stamp may be from our own time, either way. */
  windowMs: 60_000,
  /** Nonces are forgotten together with those of about the same stamp. There are at most 122 such groups. */
  groupMs: 1_000,
} as const;

/**
 * Stamps from before `startedMs` are stale: what came to an earlier run of this program is not remembered. A full
 * memory forgets its oldest group, and from then on whatever is as old as that is stale; its sender is told the time,
 * as with any other stale stamp, and comes again.
 */
export function createReplayMemory(noncesMost: number, startedMs: number): ReplayMemory {
  const { windowMs, groupMs } = replayRule;
  /** By the stamp, in whole `groupMs`. */
  const groups = new Map<number, Set<string>>();
  let size = 0;
  let oldestMs = startedMs;

  const forgetBefore = (stampMs: number): void => {
    if (stampMs <= oldestMs) return;
    oldestMs = stampMs;
    for (const [group, nonces] of groups) {
      if ((group + 1) * groupMs > oldestMs) continue;
      groups.delete(group);
      size -= nonces.size;
    }
  };

  const forgetOldestGroup = (): void => forgetBefore((Math.min(...groups.keys()) + 1) * groupMs);

  return {
    judge(nonce, stampMs, nowMs) {
      forgetBefore(nowMs - windowMs);
      if (stampMs < oldestMs || stampMs > nowMs + windowMs) return "stale";
      const group = Math.floor(stampMs / groupMs);
      if (groups.get(group)?.has(nonce) === true) return "replayed";
      while (size >= noncesMost) forgetOldestGroup();
      if (stampMs < oldestMs) return "stale";
      const nonces = groups.get(group) ?? new Set();
      groups.set(group, nonces.add(nonce));
      size += 1;
      return "fresh";
    },
    nearestMs: (nowMs) => Math.max(nowMs, oldestMs),
    get size() {
      return size;
    },
  };
}
