// Keeps jobs in hosts that live: renews this one's lease while it is here, finds out after a lapse which of its jobs others
// have taken, and has those of hosts that are gone adopted. Where S3 is in trouble it comes again later.

import type { BackoffRule } from "../base/backoff.ts";
import { backoffMs } from "../base/backoff.ts";
import type { Instant } from "../base/clock.ts";
import { inTime } from "../base/in-time.ts";
import type { Random } from "../base/random.ts";
import { someAtOnce } from "../base/some-at-once.ts";
import type { GoneHostsParts } from "./gone-hosts.ts";
import { createGoneHosts, goneHostsRule } from "./gone-hosts.ts";
import type { Lane } from "./lane.ts";
import { leaseRule } from "./lease.ts";
import type { CallTrouble } from "./objects.ts";
import { createRounds } from "./rounds.ts";

const adoptionRule = {
  /** Three of them fit into what a lease has left when it is renewed. */
  renewMostMs: 4_000,
  lookEveryMs: 1_000,
  /** Of the time between two rounds, so that hosts do not beat as one. */
  jitter: 0.2,
  readsAtOnce: 8,
} as const;

const renewAgain: BackoffRule = { baseMs: 500, capMs: 3_000, jitter: 0.2 };
const lookAgain: BackoffRule = { baseMs: 2_000, capMs: 60_000, jitter: 0.2 };

export interface AdoptionParts extends Omit<GoneHostsParts, "lane"> {
  readonly lane: Pick<Lane, "adopt" | "lose" | "unfinished">;
  /** False while this host is to take on nothing more. */
  readonly mayAdopt: () => boolean;
  readonly random: Random;
}

export interface Adoption {
  start(): void;
  /** Renews and adopts no more; the lease runs out by itself. */
  stop(): void;
}

export function createAdoption(parts: AdoptionParts): Adoption {
  const { keeping, lane, member, clock, random, tell, mayAdopt } = parts;
  const { leases, manifests } = keeping;
  const goneHosts = createGoneHosts(parts);
  let held: { readonly until: Instant; readonly untilWallMs: number } | undefined;
  /** Of this host's jobs, those that another may have taken; undefined: nobody has asked yet which there are. */
  let doubtful: Set<string> | undefined;
  let wasHeld = false;
  let renewTroubles = 0;
  let lookTroubles = 0;

  // By both clocks: the one steps, the other stands still while the machine sleeps.
  const isHeld = (): boolean =>
    held !== undefined && clock.now() < held.until && clock.wallMs() < held.untilWallMs;

  const spread = (ms: number): number => ms * (1 - adoptionRule.jitter * random());

  // The lease.

  /** `isGapless`: the run before has ended so short a while ago that nobody can have taken anything. */
  async function renewIn(signal: AbortSignal, isFirst: boolean) {
    const before = isFirst ? await leases.read(member, signal) : undefined;
    if (before?.kind === "trouble" && before.trouble !== "refused") return before;
    const renewed = await leases.renew(signal);
    const isGapless = before?.kind === "found" && before.untilMs > clock.wallMs();
    return renewed.kind === "trouble" ? renewed : { ...renewed, isGapless };
  }

  async function renew(over: AbortSignal): Promise<number> {
    if (held !== undefined && !isHeld()) {
      held = undefined;
      doubtful = undefined;
      tell({ kind: "lease-lapsed" });
    }
    const beganAt = clock.now();
    const isFirst = !wasHeld;
    const renewed = await inTime(clock, adoptionRule.renewMostMs, over, (signal) => renewIn(signal, isFirst));
    if (renewed.kind === "trouble") {
      if (!over.aborted) tell({ kind: "trouble", why: `The lease could not be renewed. ${renewed.why}` });
      return backoffMs(renewAgain, renewTroubles++, random);
    }
    renewTroubles = 0;
    wasHeld = true;
    held = { until: beganAt + leaseRule.lengthMs, untilWallMs: renewed.wallMs };
    if (renewed.isGapless) doubtful = new Set();
    return spread(leaseRule.renewEveryMs);
  }

  // The jobs.

  /** Whether S3 has said of each of this host's jobs that it is still its own. */
  async function settleDoubts(signal: AbortSignal): Promise<CallTrouble | undefined> {
    doubtful ??= new Set(lane.unfinished());
    const doubts = doubtful;
    let trouble: CallTrouble | undefined;
    await someAtOnce([...doubts], adoptionRule.readsAtOnce, async (id) => {
      if (trouble !== undefined || signal.aborted) return;
      const seen = await inTime(clock, goneHostsRule.callMostMs, signal, (cut) => manifests.read(id, cut));
      if (seen.kind === "trouble" && seen.trouble !== "refused") {
        trouble ??= seen;
        return;
      }
      const holder = seen.kind === "found" ? seen.manifest.member : member;
      if (holder !== member) await lane.lose(id, holder);
      doubts.delete(id);
    });
    return trouble;
  }

  async function look(signal: AbortSignal): Promise<number> {
    if (!isHeld()) return spread(adoptionRule.lookEveryMs);
    const doubt = doubtful?.size === 0 ? undefined : await settleDoubts(signal);
    const isSettled = doubt === undefined && isHeld() && doubtful?.size === 0;
    const trouble = doubt ?? (isSettled && mayAdopt() ? await goneHosts.round(signal) : undefined);
    if (trouble === undefined) {
      lookTroubles = 0;
      return spread(adoptionRule.lookEveryMs);
    }
    if (!signal.aborted) tell({ kind: "trouble", why: trouble.why });
    return backoffMs(lookAgain, lookTroubles++, random);
  }

  const broke = (error: unknown): number => {
    tell({ kind: "broke", error });
    return lookAgain.capMs;
  };
  const renewing = createRounds(clock, renew, (error) => Math.min(broke(error), leaseRule.renewEveryMs));
  const looking = createRounds(clock, look, broke);

  return {
    start() {
      renewing.start();
      looking.start();
    },
    stop() {
      renewing.stop();
      looking.stop();
    },
  };
}
