// What the routers of a fleet tell each other to clear: ours, as the advert repeats it until everybody has it, and of each
// other router what we have done already. The clearing itself is the floors above's.

import type { Instant } from "../base/clock.ts";
import type { Clearing } from "./clearing.ts";

export const clearingsRule = {
  /** Gossip needs seconds; a host that was out of reach for longer than this has to be told by hand. */
  keptMs: 600_000,
  /** With prefixes as short as these an advert stays below what gossip takes, and everybody hears it twice a second. */
  toldMost: 8,
  prefixCharsMost: 64,
  /** Routers whose last serial is remembered: as many as a fleet can have. Of one beyond, all is cleared once more. */
  ownersMost: 1024,
} as const;

export interface ToldClearing {
  /** From 1, rising within one run of its router. */
  readonly serial: number;
  readonly clearing: Clearing;
}

export interface Clearings {
  /** This router has cleared it, and tells everybody. */
  announce(clearing: Clearing, now: Instant): void;
  /** What its advert says of it now, oldest first. */
  rows(now: Instant): readonly ToldClearing[];
  /**
   * Answers those of another router's that are not done here yet. Of a router or a run that is new to us these are all:
   * caches that came back from the disk may hold what was cleared while we were away.
   */
  hear(owner: string, boot: string, told?: readonly ToldClearing[]): readonly Clearing[];
  /** It is gone for good. */
  forget(owner: string): void;
}

export function createClearings(): Clearings {
  let serial = 0;
  let ours: readonly (ToldClearing & { readonly at: Instant })[] = [];
  /** Those heard of longest ago first. */
  const heard = new Map<string, { readonly boot: string; readonly serial: number }>();

  const forgetOld = (now: Instant): void => {
    if (ours.some(({ at }) => now - at >= clearingsRule.keptMs))
      ours = ours.filter(({ at }) => now - at < clearingsRule.keptMs);
  };

  return {
    announce(clearing, now) {
      forgetOld(now);
      serial += 1;
      ours = [...ours, { serial, clearing: shortened(clearing), at: now }];
      const [first, second, ...rest] = ours;
      if (ours.length <= clearingsRule.toldMost || first === undefined || second === undefined) return;
      // Under the later serial: who has done the first and not the second does both anew, and nobody misses one.
      ours = [{ ...second, clearing: wider(first.clearing, second.clearing) }, ...rest];
    },
    rows(now) {
      forgetOld(now);
      return ours;
    },
    hear(owner, boot, told = []) {
      if (told.length === 0) return [];
      const known = heard.get(owner);
      const done = known?.boot === boot ? known.serial : 0;
      const fresh = told.filter((each) => each.serial > done);
      heard.delete(owner);
      heard.set(owner, { boot, serial: Math.max(done, ...fresh.map((each) => each.serial)) });
      const oldest = heard.keys().next().value;
      if (heard.size > clearingsRule.ownersMost && oldest !== undefined) heard.delete(oldest);
      return fresh.map(({ clearing }) => clearing);
    },
    forget: (owner) => void heard.delete(owner),
  };
}

/** A shorter prefix clears more: too much is asked anew, too little would be answered wrongly. */
function shortened(clearing: Clearing): Clearing {
  const { prefix = "" } = clearing;
  let end = Math.min(prefix.length, clearingsRule.prefixCharsMost);
  while (charsOf(prefix.slice(0, end)) > clearingsRule.prefixCharsMost) end -= 1;
  return { ...clearing, prefix: end === 0 ? undefined : prefix.slice(0, end) };
}

/** As JSON has it, where one character may take six. */
const charsOf = (text: string): number => JSON.stringify(text).length - 2;

/** Clears at least what both do. */
export function wider(one: Clearing, other: Clearing): Clearing {
  const cache = cacheOf(one);
  return {
    cache: cache === cacheOf(other) ? cache : undefined,
    archetype: one.archetype === other.archetype ? one.archetype : undefined,
    prefix: commonStart(one.prefix ?? "", other.prefix ?? "") || undefined,
  };
}

/** Only intents have an archetype, whether or not they are named with it. */
const cacheOf = ({ cache, archetype }: Clearing): Clearing["cache"] =>
  archetype === undefined ? cache : "intents";

function commonStart(one: string, other: string): string {
  let end = 0;
  while (end < one.length && one[end] === other[end]) end += 1;
  return one.slice(0, end);
}
