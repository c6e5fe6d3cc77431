// Asks one engine how it is: its health, its models and its figures on a beat, and one token where it is in doubt.
// It reports; what follows from a report is decided by those who remember.

import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Ask } from "./ask.ts";
import type { Beat } from "./beat.ts";
import { startBeat } from "./beat.ts";
import type { Dialect, HealthVerdict } from "./dialect.ts";
import type { EngineGauges } from "./gauges.ts";
import type { Asked, LookVerdict } from "./look.ts";
import { askForToken, look } from "./look.ts";

export const proberRule = {
  healthEveryMs: 1000,
  /** Generous, because a busy Python server answers late and lateness is not death. */
  healthTimeoutMs: 2000,
  /** One failed check proves nothing. */
  failuresToVeto: 2,
  /** How soon to ask again after a failed check. */
  unhealthy: { baseMs: 250, capMs: 1000, jitter: 0.2 },
  modelsEveryMs: 5000,
  modelsTimeoutMs: 2000,
  /** While an endpoint is watched for its recovery. With the time limit, a healed engine is seen within 2 s. */
  watchEveryMs: 500,
  watchTimeoutMs: 1000,
  /** ±20 %, so that the questions of many routers do not fall on one instant. */
  jitter: 0.2,
} as const;

/** Lateness is no veto: it would let a timer gate requests that the engine still answers. */
const unanswered = { silent: "unknown", refused: "unhealthy" } as const;

export interface ProberOptions {
  readonly dialect: Dialect;
  readonly ask: Ask;
  readonly clock: Clock;
  readonly random: Random;
  /** Each verdict that differs from the last, and the first. "unhealthy" only after two failed checks in a row. */
  onHealth(verdict: HealthVerdict): void;
  /** Each list that differs from the last, and the first. */
  onModels(models: readonly string[]): void;
  /** After every reading; empty when there was nothing to read, so that old figures do not linger. */
  onGauges(gauges: EngineGauges): void;
  /** A watched engine has answered the one-token question. Repeated until `watch(undefined)`. */
  onAnswered(): void;
}

export interface Prober {
  /**
   * Whether the engine answers one token within the limit, asked now; see look.ts. A second call while a look
   * is under way gets its verdict: engines fall silent as a whole.
   */
  look(asked: Asked, limitMs: number): Promise<LookVerdict>;
  /** Repeats the one-token question until told `undefined`. */
  watch(asked: Asked | undefined): void;
  /** Ends every question; no callback comes after it. */
  stop(): void;
}

/** Starts asking at once. */
export function startProber(options: ProberOptions): Prober {
  const { dialect, ask, clock, random } = options;
  const over = new AbortController();
  const around = (ms: number): number =>
    backoffMs({ baseMs: ms, capMs: ms, jitter: proberRule.jitter }, 0, random);

  let health: HealthVerdict | undefined;
  let failures = 0;
  let models: readonly string[] | undefined;
  let looking: Promise<LookVerdict> | undefined;
  let watching: { readonly asked: Asked; readonly beat: Beat; readonly over: AbortController } | undefined;

  const checkHealth = async (): Promise<number> => {
    const { path, read } = dialect.health;
    const answer = await ask({ method: "GET", path, timeoutMs: proberRule.healthTimeoutMs }, over.signal);
    const verdict = "status" in answer ? read(answer.status, answer.body) : unanswered[answer.failed];
    failures = verdict === "unhealthy" ? failures + 1 : 0;
    if (failures === 0 || failures >= proberRule.failuresToVeto) settleHealth(verdict);
    return failures === 0
      ? around(proberRule.healthEveryMs)
      : backoffMs(proberRule.unhealthy, failures - 1, random);
  };

  const settleHealth = (verdict: HealthVerdict): void => {
    if (over.signal.aborted || verdict === health) return;
    const first = health === undefined;
    health = verdict;
    options.onHealth(verdict);
    // An engine that has come back may serve something else. At the start that question is already under way.
    if (!first && verdict !== "unhealthy") modelsBeat.hurry();
  };

  const listModels = async (): Promise<number> => {
    if (health !== "unhealthy") {
      const { path, read } = dialect.models;
      const answer = await ask({ method: "GET", path, timeoutMs: proberRule.modelsTimeoutMs }, over.signal);
      const listed = "status" in answer ? read(answer.status, answer.body) : undefined;
      if (listed !== undefined && !over.signal.aborted && !sameList(listed, models)) {
        models = listed;
        options.onModels(listed);
      }
    }
    return around(proberRule.modelsEveryMs);
  };

  const readGauges = async ({
    path,
    timeoutMs,
    everyMs,
    read,
  }: NonNullable<Dialect["gauges"]>): Promise<number> => {
    const answer = await ask({ method: "GET", path, timeoutMs }, over.signal);
    const gauges = "status" in answer ? read(answer.status, answer.body) : undefined;
    if (!over.signal.aborted) options.onGauges(gauges ?? {});
    // Spread upwards only.
    return everyMs * (1 + proberRule.jitter * random());
  };

  const modelsBeat = startBeat(clock, listModels);
  const beats = [modelsBeat, startBeat(clock, checkHealth)];
  const gaugesOfDialect = dialect.gauges;
  if (gaugesOfDialect !== undefined) beats.push(startBeat(clock, () => readGauges(gaugesOfDialect)));

  const unwatch = (): void => {
    watching?.beat.stop();
    watching?.over.abort();
    watching = undefined;
  };

  return {
    look(asked, limitMs) {
      looking ??= look(options, asked, limitMs, over.signal).finally(() => {
        looking = undefined;
      });
      return looking;
    },

    watch(asked) {
      if (asked?.model === watching?.asked.model && asked?.path === watching?.asked.path) return;
      unwatch();
      if (asked === undefined || over.signal.aborted) return;
      const watchOver = new AbortController();
      const beat = startBeat(clock, async () => {
        // A look that is under way asks the same.
        const question = looking ?? askForToken(options, asked, proberRule.watchTimeoutMs, watchOver.signal);
        const verdict = await question;
        if (verdict === "answered" && !watchOver.signal.aborted) options.onAnswered();
        return around(proberRule.watchEveryMs);
      });
      watching = { asked, beat, over: watchOver };
    },

    stop() {
      over.abort();
      unwatch();
      for (const beat of beats) beat.stop();
    },
  };
}

function sameList(one: readonly string[], other: readonly string[] | undefined): boolean {
  return one.length === other?.length && one.every((item, index) => item === other[index]);
}
