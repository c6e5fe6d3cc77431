// Requests that engines died of: how many engines each is held responsible for, here and at the other routers, and which
// are stopped. A request is known by the hash of its body alone.

import type { Instant } from "../base/clock.ts";

export const quarantineRule = {
  /** So many engines may die of one request, anywhere, with no answer to it in between. */
  deathsMost: 3,
  stoppedMs: 600_000,
  /** A death is remembered longer: who was stopped gets one try, and is stopped again where it costs one more engine. */
  rememberedMs: 3_600_000,
  /** Between a connection that broke and the sign that nobody is left behind it. A peer's engine is known by gossip. */
  provenMs: 10_000,
  /** How long a death is presumed, so that no fourth engine is risked while nobody knows. */
  presumedMs: 4000,
  /** How long who is to be refused waits for the other doors to hear of it, lest the caller try them all. */
  spreadMs: 1000,
  rememberedMost: 1024,
  unprovenMost: 256,
  /** Rows in an advert, those with the most deaths first; 27 bytes each at most. */
  toldMost: 16,
  /** How long the others are told that a request has been answered, and who has heard it believes no older word. */
  answeredToldMs: 10_000,
  answeredMost: 64,
} as const;

/**
 * What one router says of one request: how many engines died of it, as far as it knows itself; 0: it has been answered
 * since. `held`: not yet known, but so many seem to have died that nobody should try it for the moment.
 */
export type ToldDeaths = readonly [hash: string, deaths: number, held?: true];

export interface Quarantine {
  /** Nothing is held against any request: there is no need to know whose hash is whose. */
  readonly idle: boolean;
  /** A request failed at an endpoint as it does where an engine dies. Only if that turns out to be gone was it a death. */
  broke(hash: string, call: BrokenCall, now: Instant): void;
  /** Nobody listens at the endpoint, or at any of a host of that name: what broke there was a death. */
  gone(where: string, now: Instant): void;
  /** An engine did its work on it: whatever killed the others, it was not this. */
  answered(hash: string, now: Instant): void;
  /** How many engines may still die of it; 0: it is stopped. */
  triesLeft(hash: string, now: Instant): number;
  /** How many requests are stopped now. */
  stopped(now: Instant): number;
  /** What our advert says. */
  rows(now: Instant): readonly ToldDeaths[];
  /** All that another router says now. */
  hear(owner: string, told: readonly ToldDeaths[] | undefined, now: Instant): void;
}

export interface BrokenCall {
  readonly endpoint: string;
  /** When it began. */
  readonly since: Instant;
  /** Until it is known whether the engine died it counts as a death, for the request itself. */
  readonly presumed: boolean;
}

interface Suspect {
  /** Of the last death. */
  at: Instant;
  here: number;
  /** When an endpoint was last found dead of it: what had begun there before broke in that same death. */
  readonly foundDead: Map<string, Instant>;
  readonly elsewhere: Map<string, number>;
}

interface Broken {
  readonly hash: string;
  readonly endpoint: string;
  readonly presumed: boolean;
  readonly at: Instant;
}

const nothing: readonly ToldDeaths[] = [];

/** `stopped` is told of each request that is stopped from now on. */
export function createQuarantine(stopped: (hash: string) => void = () => undefined): Quarantine {
  /** Those with the oldest death first. */
  const suspects = new Map<string, Suspect>();
  /** `here`: by an engine that was asked from here, which the others do not know. */
  const answers = new Map<string, { readonly at: Instant; readonly here: boolean }>();
  let unproven: Broken[] = [];
  /** Until when, by another router's word. */
  const held = new Map<string, Instant>();

  const forgetOld = (now: Instant): void => {
    for (const [hash, { at }] of suspects) {
      if (suspects.size <= quarantineRule.rememberedMost && now - at < quarantineRule.rememberedMs) break;
      suspects.delete(hash);
    }
    for (const [hash, { at }] of answers) {
      if (answers.size <= quarantineRule.answeredMost && now - at < quarantineRule.answeredToldMs) break;
      answers.delete(hash);
    }
    for (const [hash, until] of held) {
      if (held.size <= quarantineRule.unprovenMost && now < until) break;
      held.delete(hash);
    }
    const isOld = ({ at }: Broken): boolean => now - at >= quarantineRule.provenMs;
    if (unproven[0] !== undefined && isOld(unproven[0])) unproven = unproven.filter((each) => !isOld(each));
  };

  const isStopped = (suspect: Suspect, now: Instant): boolean =>
    deathsOf(suspect) >= quarantineRule.deathsMost && now - suspect.at < quarantineRule.stoppedMs;

  const accuse = (hash: string, now: Instant, add: (suspect: Suspect) => void): void => {
    const suspect = suspects.get(hash) ?? { at: now, here: 0, foundDead: new Map(), elsewhere: new Map() };
    const wasStopped = isStopped(suspect, now);
    suspects.delete(hash);
    suspects.set(hash, suspect);
    suspect.at = now;
    add(suspect);
    answers.delete(hash);
    if (!wasStopped && isStopped(suspect, now)) stopped(hash);
  };

  const isPresumed = (broken: Broken, now: Instant): boolean =>
    broken.presumed && now - broken.at < quarantineRule.presumedMs;

  /** By what is known here alone. */
  const triesLeftHere = (hash: string, now: Instant): number => {
    const suspect = suspects.get(hash);
    if (suspect !== undefined && isStopped(suspect, now)) return 0;
    const deaths = suspect === undefined ? 0 : deathsOf(suspect);
    let left = Math.max(1, quarantineRule.deathsMost - deaths);
    for (const each of unproven) if (each.hash === hash && isPresumed(each, now)) left -= 1;
    return Math.max(0, left);
  };

  return {
    get idle() {
      return suspects.size === 0 && unproven.length === 0 && held.size === 0;
    },
    broke(hash, { endpoint, since, presumed }, now) {
      forgetOld(now);
      // The same request any number of times at one engine that dies is one death, whichever of them is heard of last.
      if (since < (suspects.get(hash)?.foundDead.get(endpoint) ?? Number.NEGATIVE_INFINITY)) return;
      unproven = unproven.filter((each) => each.hash !== hash || each.endpoint !== endpoint);
      unproven.push({ hash, endpoint, presumed, at: now });
      if (unproven.length <= quarantineRule.unprovenMost) return;
      // Whoever can provoke errors must not push out of sight what he kills engines with.
      const doubtful = unproven.findIndex((each) => !each.presumed);
      unproven.splice(Math.max(0, doubtful), 1);
    },
    gone(where, now) {
      if (unproven.length === 0) return;
      forgetOld(now);
      const died = unproven.filter(({ endpoint }) => endpoint === where || endpoint.startsWith(`${where}/`));
      if (died.length === 0) return;
      unproven = unproven.filter((each) => !died.includes(each));
      for (const { hash, endpoint } of died) {
        accuse(hash, now, (suspect) => {
          suspect.here += 1;
          suspect.foundDead.set(endpoint, now);
        });
      }
      forgetOld(now);
    },
    answered(hash, now) {
      unproven = unproven.filter((each) => each.hash !== hash);
      const wasHeld = held.delete(hash);
      if (!suspects.delete(hash) && !wasHeld) return;
      answers.set(hash, { at: now, here: true });
      forgetOld(now);
    },
    triesLeft(hash, now) {
      // Where nothing dies any more nobody else would, and every body would be hashed for ever.
      forgetOld(now);
      return (held.get(hash) ?? now) > now ? 0 : triesLeftHere(hash, now);
    },
    stopped(now) {
      let count = 0;
      for (const suspect of suspects.values()) if (isStopped(suspect, now)) count += 1;
      return count;
    },
    rows(now) {
      if (suspects.size === 0 && answers.size === 0 && unproven.length === 0) return nothing;
      forgetOld(now);
      const presumed = new Set<string>();
      for (const each of unproven)
        if (isPresumed(each, now) && triesLeftHere(each.hash, now) === 0) presumed.add(each.hash);
      const ours: ToldDeaths[] = [];
      for (const [hash, { here }] of suspects)
        if (here > 0 && !presumed.has(hash)) ours.unshift([hash, here]);
      ours.sort(([, one], [, other]) => other - one);
      for (const hash of presumed) ours.unshift([hash, suspects.get(hash)?.here ?? 0, true]);
      const answered: ToldDeaths[] = [];
      for (const [hash, { here }] of answers) if (here) answered.push([hash, 0]);
      return [...answered, ...ours].slice(0, quarantineRule.toldMost);
    },
    hear(owner, told = nothing, now) {
      if (told.length === 0) return;
      forgetOld(now);
      for (const [hash, deaths, isHeld] of told) {
        if (isHeld === true && !answers.has(hash)) {
          held.delete(hash);
          held.set(hash, now + quarantineRule.presumedMs);
        }
        if (deaths === 0) {
          if (isHeld === true) continue;
          suspects.delete(hash);
          held.delete(hash);
          if (!answers.has(hash)) answers.set(hash, { at: now, here: false });
        } else if (!answers.has(hash) && suspects.get(hash)?.elsewhere.get(owner) !== deaths) {
          // The owner of an older word hears of an answer a moment later than we do, hence the first condition.
          accuse(hash, now, ({ elsewhere }) => elsewhere.set(owner, deaths));
        }
      }
      forgetOld(now);
    },
  };
}

function deathsOf({ here, elsewhere }: Suspect): number {
  let deaths = here;
  for (const there of elsewhere.values()) deaths += there;
  return deaths;
}
