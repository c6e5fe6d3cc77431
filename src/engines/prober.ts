// Asks one engine of this host how it is: its health, its models and its figures on a beat, and, by its lookout, one
// token where it is in doubt. It reports; what follows from a report is decided by those who remember.

import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Ask } from "./ask.ts";
import { startBeat } from "./beat.ts";
import type { Dialect, HealthVerdict } from "./dialect.ts";
import type { EngineGauges } from "./gauges.ts";
import type { Lookout } from "./lookout.ts";
import { createLookout } from "./lookout.ts";
import { createModelList } from "./model-list.ts";

export const proberRule = {
  healthEveryMs: 1000,
  /** Generous, because a busy Python server answers late and lateness is not death. */
  healthTimeoutMs: 2000,
  /** One failed check proves nothing. */
  failuresToVeto: 2,
  /** How soon to ask again after a failed check. */
  unhealthy: { baseMs: 250, capMs: 1000, jitter: 0.2 },
  modelsEveryMs: 1000,
  /** ±20 %, so that the questions of many routers do not fall on one instant. */
  jitter: 0.2,
} as const;

/** Lateness is no veto: it would let a timer gate requests that the engine still answers. */
const unanswered = { silent: "unknown", unreachable: "unhealthy", refused: "unhealthy" } as const;

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

export interface Prober extends Lookout {
  /** Asks now what the engine serves; see model-list.ts. */
  relist(): Promise<void>;
}

/** Starts asking at once. No callback comes after `stop`. */
export function startProber(options: ProberOptions): Prober {
  const { dialect, ask, clock, random } = options;
  const over = new AbortController();
  const around = (ms: number): number =>
    backoffMs({ baseMs: ms, capMs: ms, jitter: proberRule.jitter }, 0, random);

  let health: HealthVerdict | undefined;
  let failures = 0;
  const modelList = createModelList(options, over.signal);

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
    if (health !== "unhealthy") await modelList.ask();
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

  const lookout = createLookout(options);

  return {
    look: lookout.look,
    watch: lookout.watch,
    relist: modelList.askAnew,
    stop() {
      over.abort();
      lookout.stop();
      for (const beat of beats) beat.stop();
    },
  };
}
