// How much this router trusts its own senses (Lifeguard): 0 is well, and each point makes it slower to accuse.

export const healthRule = {
  most: 7,
  /** More than half of the last so many probes without an answer: the fault is likely here. */
  recentProbes: 10,
  /** A timer this late means that our own runtime stood still. */
  lateMs: 250,
} as const;

export interface HealthScore {
  /** Probe interval and deadlines are this many times longer: 1 to 8. */
  readonly stretch: number;
  readonly score: number;
  probeAnswered(): void;
  /** A probe that failed; `silentHelpers` are those that should have said "nor could I" and said nothing. */
  probeFailed(silentHelpers: number): void;
  /** Somebody thought us gone. */
  accused(): void;
  /** Our own timers came late. */
  late(): void;
}

export function createHealthScore(): HealthScore {
  let score = 0;
  const recent: boolean[] = [];

  const add = (points: number): void => {
    score = Math.max(0, Math.min(healthRule.most, score + points));
  };
  const remember = (answered: boolean): void => {
    recent.push(answered);
    if (recent.length > healthRule.recentProbes) recent.shift();
  };

  return {
    get stretch() {
      return score + 1;
    },
    get score() {
      return score;
    },
    probeAnswered() {
      remember(true);
      add(-1);
    },
    probeFailed(silentHelpers) {
      remember(false);
      const failed = recent.filter((answered) => !answered).length;
      const mostFailed = recent.length === healthRule.recentProbes && failed > healthRule.recentProbes / 2;
      add(silentHelpers + (mostFailed ? 1 : 0));
    },
    accused: () => add(1),
    late: () => add(1),
  };
}
