// Looks at this host's descriptors and memory at a steady beat, and does what each step of their strain asks for.

import type { CacheControl } from "./base/cache-control.ts";
import type { Clock } from "./base/clock.ts";
import { createHalvedCaches } from "./base/halved-caches.ts";
import type { Scarce, Strain, StrainStep } from "./base/strain.ts";
import { descriptorSteps, memorySteps, scarce, stepAt } from "./base/strain.ts";
import type { Descriptors } from "./host/descriptors.ts";
import type { Memory } from "./host/memory.ts";
import type { Listener } from "./http/listen.ts";
import type { Log } from "./telemetry/log.ts";
import type { Registry } from "./telemetry/registry.ts";
import type { StrainFigures } from "./telemetry/strain-gauges.ts";
import { registerStrainGauges } from "./telemetry/strain-gauges.ts";

const strainRule = {
  everyMs: 250,
  /** While memory is short; a collection holds everybody up. */
  releaseEveryMs: 10_000,
  /** A thousand requests under way are two thousand descriptors, and at half of the limit new ones are refused. */
  descriptorsLeast: 65_536,
} as const;

const stepsOf: Readonly<Record<Scarce, readonly StrainStep[]>> = {
  descriptors: descriptorSteps,
  memory: memorySteps,
};
type StepName = (typeof descriptorSteps | typeof memorySteps)[number]["name"];

export interface HostStrainParts {
  readonly clock: Clock;
  readonly log: Log;
  readonly registry: Registry;
  readonly caches: readonly CacheControl[];
  readonly descriptors: Descriptors;
  readonly memory: Memory;
  /** What the configuration says that the process may take; undefined: it says nothing. */
  readonly memoryBytes: () => number | undefined;
  readonly refused: Strain["refused"];
}

export interface HostStrain {
  readonly strain: Strain;
  /** `players`: the public listener. */
  watch(players: Pick<Listener, "closeIdle" | "shut" | "reopen">): void;
  stop(): void;
}

export function createHostStrain(parts: HostStrainParts): HostStrain {
  const { clock, log, descriptors, memory, refused } = parts;
  const caches = createHalvedCaches(parts.caches);
  const steps: Record<Scarce, number> = { descriptors: 0, memory: 0 };
  const strain: { closing: boolean; shedding: Scarce | undefined; refused: Strain["refused"] } = {
    closing: false,
    shedding: undefined,
    refused,
  };
  let releasedAt = Number.NEGATIVE_INFINITY;
  let stopTimer = (): void => undefined;

  const memoryLimit = (): number | undefined => {
    const limits = [parts.memoryBytes(), memory.limitBytes()].filter((limit) => limit !== undefined);
    return limits.length === 0 ? undefined : Math.min(...limits);
  };
  registerStrainGauges(parts.registry, {
    descriptors: () => ({ used: descriptors.open(), limit: descriptors.limit }),
    memory: () => ({ used: memory.usedBytes(), limit: memoryLimit() }),
    step: (what) => steps[what],
  });

  const shareOf = ({ used, limit }: StrainFigures): number =>
    used === undefined || limit === undefined ? 0 : used / limit;
  const nextStep = (what: Scarce, share: number): number => stepAt(stepsOf[what], share, steps[what]);

  /** Answers the step before. */
  const move = (what: Scarce, { used, limit }: StrainFigures): number => {
    const before = steps[what];
    const share = shareOf({ used, limit });
    const step = nextStep(what, share);
    if (step === before) return before;
    steps[what] = step;
    const figures = { used, limit, share: Math.round(share * 1000) / 1000 };
    const name = stepsOf[what][step - 1]?.name;
    if (step > before) log.warn(figures, `short of ${what}: ${name}`);
    else log.info(figures, name === undefined ? `enough ${what} again` : `less short of ${what}: ${name}`);
    return before;
  };

  /** Or beyond it. */
  const isAt = (what: Scarce, name: StepName, at = steps[what]): boolean => {
    const place = stepsOf[what].findIndex((step) => step.name === name);
    return place >= 0 && at > place;
  };

  const lookAtDescriptors = (players: Pick<Listener, "closeIdle" | "shut" | "reopen">): void => {
    const { limit } = descriptors;
    let used = descriptors.open();
    if (used !== undefined && limit !== undefined && used >= descriptorSteps[1].from * limit) {
      // Rather than refusing whoever asks something, whoever asks nothing is cut.
      const cut = players.closeIdle();
      descriptors.closed(cut);
      used -= cut;
    }
    const isEnough = !isAt("descriptors", "listener shut", nextStep("descriptors", shareOf({ used, limit })));
    // Its port may be taken by another process by now; then it stays shut, and the next look tries again.
    if (isAt("descriptors", "listener shut") && isEnough && !players.reopen()) return;
    move("descriptors", { used, limit });
    if (!isEnough) players.shut();
  };

  const lookAtMemory = (): void => {
    const limit = memoryLimit();
    const used = limit === undefined ? undefined : memory.usedBytes();
    const wereHalved = isAt("memory", "caches halved");
    const before = move("memory", { used, limit });
    const areHalved = isAt("memory", "caches halved");
    if (areHalved && !wereHalved) {
      const freed = caches.halve();
      log.warn({ freed_bytes: freed }, "the caches are held to half of what they were");
    }
    if (wereHalved && !areHalved) caches.restore();
    const isDue = clock.now() - releasedAt >= strainRule.releaseEveryMs;
    if (steps.memory > before || (isAt("memory", "connections closed") && isDue)) {
      releasedAt = clock.now();
      memory.release();
    }
  };

  const whatIsAt = (name: StepName): Scarce | undefined => scarce.find((what) => isAt(what, name));

  return {
    strain,
    watch(players) {
      const { limit } = descriptors;
      if (limit !== undefined && limit < strainRule.descriptorsLeast) {
        log.warn(
          { limit },
          `this process may have ${limit} file descriptors, and refuses requests at half of them: write LimitNOFILE=1048576 into its unit, or raise the hard limit (ulimit -Hn) where it is started`,
        );
      }
      const look = (): void => {
        // First: were one look to fail, a listener that is shut must not stay so for ever.
        stopTimer = clock.after(strainRule.everyMs, look);
        lookAtDescriptors(players);
        lookAtMemory();
        strain.closing = whatIsAt("connections closed") !== undefined;
        strain.shedding = whatIsAt("requests refused");
      };
      look();
    },
    stop: () => stopTimer(),
  };
}
