// The end of a router that is told to end: what is in flight is finished, what the caches hold is saved, and what is left
// at the deadline is cut.

import type { Clock } from "./base/clock.ts";
import { until } from "./base/until.ts";
import type { Notifier } from "./host/systemd.ts";
import type { Lifecycle } from "./http/lifecycle.ts";
import type { Listener } from "./http/listen.ts";
import type { Snapshots } from "./snapshots.ts";
import type { Log } from "./telemetry/log.ts";

const drainRule = {
  /** What systemd is asked for beyond the drain's own deadline. */
  marginMs: 2000,
  /** Of the deadline, kept for saving the caches: twice what the slowest disk needs. At most half of it. */
  saveMs: 2000,
  /** In a fleet: nobody has come for so long, so callers have noticed. */
  quietMs: 1000,
  /** Time for the last error events to leave before connections are closed. */
  cutGraceMs: 200,
} as const;

export interface DrainParts {
  readonly lifecycle: Lifecycle;
  /** The public one. */
  readonly players: Listener;
  readonly snapshots: Pick<Snapshots, "save">;
  readonly notifier: Notifier;
  readonly clock: Clock;
  readonly log: Log;
  readonly deadlineMs: () => number;
  /** There are peers who answer for this host while callers still come. */
  readonly hasPeers: () => boolean;
}

export interface Drain {
  /** The second time it ends at once. */
  begin(signal: string): void;
  /** Resolves to the exit code when it has ended. */
  readonly ended: Promise<number>;
}

export function createDrain(parts: DrainParts): Drain {
  const { lifecycle, players, snapshots, notifier, clock, log } = parts;
  const ended = Promise.withResolvers<number>();
  const saving = new AbortController();

  const drain = async (signal: string): Promise<number> => {
    const deadlineMs = parts.deadlineMs();
    const toSaveMs = deadlineMs - Math.min(drainRule.saveMs, deadlineMs / 2);
    // Where the host was draining already, callers had time to notice.
    const began = lifecycle.phase === "draining" ? Number.NEGATIVE_INFINITY : clock.now();
    const isQuiet = (): boolean =>
      !parts.hasPeers() || clock.now() - Math.max(began, lifecycle.lastArrivalAt) >= drainRule.quietMs;
    lifecycle.end();
    log.info({ signal, inflight: lifecycle.active, deadline_ms: deadlineMs }, "draining");
    notifier.stopping(`draining, ${lifecycle.active} in flight`);
    notifier.extendTimeout(deadlineMs + drainRule.marginMs);
    const late = Promise.withResolvers<"late">();
    const timeToSave = Promise.withResolvers<void>();
    const stopTimers = [
      clock.after(toSaveMs, timeToSave.resolve),
      clock.after(deadlineMs, () => late.resolve("late")),
    ];
    // Callers who do not look at /readyz would always be one more, so the door is shut in time for those who were here.
    const idle = Promise.all([lifecycle.settled(), until(isQuiet, toSaveMs, clock)]).then(() => {
      void players.stop(false);
      return lifecycle.idle();
    });
    // What is in flight may add to the caches, but must not take the time that saving them needs.
    await Promise.race([idle, timeToSave.promise]);
    const saved = snapshots
      .save(saving.signal)
      .catch((error: unknown) => log.error({ err: error }, "not saved"));
    const which = await Promise.race([Promise.all([idle, saved]), late.promise]);
    for (const stop of stopTimers) stop();
    saving.abort();
    if (which !== "late" || lifecycle.active === 0) return 0;
    const cut = lifecycle.cutAll();
    log.warn({ cut }, "the drain deadline has passed: what was left has been cut");
    await new Promise<void>((resolve) => clock.after(drainRule.cutGraceMs, resolve));
    return 1;
  };

  return {
    begin(signal) {
      if (lifecycle.ending) {
        log.warn({ signal }, "told a second time: ending at once");
        saving.abort();
        ended.resolve(1);
        return;
      }
      drain(signal).then(ended.resolve, ended.reject);
    },
    ended: ended.promise,
  };
}
