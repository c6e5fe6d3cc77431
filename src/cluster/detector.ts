// Whom this router probes and when, and what it makes of what it saw. How to reach them is for gossip.ts.

import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { HealthScore } from "./health-score.ts";
import { isPresent } from "./member.ts";
import type { Membership } from "./membership.ts";
import type { Answer, Verdict } from "./probe.ts";
import { probe, probeRule } from "./probe.ts";
import { createTurnOrder, shuffled } from "./turn-order.ts";

const detectorRule = {
  /** Probes under way; with this many, what is urgent waits for the next turn. */
  probesMost: 2,
  /** Members that wait to be probed out of turn, because something spoke against them. */
  urgentMost: 16,
  /** So many of these in a row, then one in turn, so that everybody is visited. */
  urgentInARow: 2,
} as const;

export interface DetectorParts {
  readonly membership: Membership;
  readonly health: HealthScore;
  readonly clock: Clock;
  readonly random: Random;
  running(): boolean;
  ping(who: string, address: string, timeoutMs: number, fresh: boolean): Promise<Answer>;
  ask(helper: string, who: string, address: string, timeoutMs: number): Promise<Answer>;
}

export interface Detector {
  readonly verdicts: Readonly<Record<Verdict["kind"], number>>;
  /** Probes the next one. */
  turn(): void;
  /** It is new, or back. */
  add(name: string): void;
  /** Something speaks against it. */
  lookAfter(name: string): void;
  /** It has spoken to us, or is forgotten: what it missed counts no more. */
  clear(name: string): void;
}

export function createDetector(parts: DetectorParts): Detector {
  const { membership, health, clock, random } = parts;
  const order = createTurnOrder(membership.others, random);
  const verdicts: Record<Verdict["kind"], number> = { alive: 0, inconclusive: 0, failed: 0 };
  /** Probes in a row that nobody could vouch for. */
  const misses = new Map<string, number>();
  const urgent = new Set<string>();
  let urgentInARow = 0;
  let probes = 0;

  /** Whoever we accuse already is looked at in turn, as anybody else. */
  const accusedByUs = (who: string): boolean =>
    membership.named(who)?.claim.accusers?.includes(membership.self.name) === true;

  const hurry = (who: string): void => {
    if (!accusedByUs(who) && urgent.size < detectorRule.urgentMost) urgent.add(who);
  };

  const missed = (who: string): void => {
    if (membership.named(who) !== undefined) misses.set(who, (misses.get(who) ?? 0) + 1);
  };

  const next = (): string | undefined => {
    if (urgentInARow < detectorRule.urgentInARow) {
      for (const who of urgent) {
        urgent.delete(who);
        if (!isPresent(membership.named(who))) continue;
        urgentInARow += 1;
        return who;
      }
    }
    urgentInARow = 0;
    return order.next((who) => isPresent(membership.named(who)));
  };

  const look = async (who: string): Promise<void> => {
    const target = membership.named(who);
    if (target === undefined) return;
    const { address, incarnation } = target.claim;
    const timeoutMs = probeRule.timeoutMs * health.stretch;
    probes += 1;
    const verdict = await probe({
      timeoutMs,
      helpers: shuffled(membership.others(), random)
        .filter((other) => other !== who && membership.named(other)?.claim.state === "alive")
        .slice(0, probeRule.helpers),
      misses: () => misses.get(who) ?? 0,
      now: clock.now,
      ping: (fresh) => parts.ping(who, address, timeoutMs, fresh),
      async ask(helper) {
        const answer = await parts.ask(helper, who, address, timeoutMs);
        if ("failed" in answer) missed(helper);
        return answer;
      },
      doubted: (helper) => misses.has(helper),
      heardSince: (instant) => (membership.named(who)?.heardAt ?? -1) > instant,
    });
    probes -= 1;
    judge(who, incarnation, verdict);
  };

  const judge = (who: string, incarnation: number, verdict: Verdict): void => {
    verdicts[verdict.kind] += 1;
    if (verdict.kind === "alive") {
      misses.delete(who);
      health.probeAnswered();
      return;
    }
    health.probeFailed(verdict.silentHelpers);
    missed(who);
    if (verdict.kind === "inconclusive") hurry(who);
    // If it spoke up while we were looking, what we saw is about its past.
    else if (parts.running() && membership.named(who)?.claim.incarnation === incarnation)
      membership.accuse(who, verdict.why, clock.now());
  };

  return {
    verdicts,
    turn() {
      if (probes >= detectorRule.probesMost) return;
      const who = next();
      if (who !== undefined) void look(who);
    },
    add: order.add,
    lookAfter(who) {
      if (!parts.running() || accusedByUs(who)) return;
      // With others to ask, at once. Without them only probes a second apart tell a death from a pause.
      const alone = membership.others().length < 2;
      if (alone || probes >= detectorRule.probesMost) hurry(who);
      else void look(who);
    },
    clear: (who) => misses.delete(who),
  };
}
