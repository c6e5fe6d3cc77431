// Figures about the process itself, where there are any under the names that Prometheus clients agree on.

import type { Clock } from "../base/clock.ts";
import type { Registry } from "./registry.ts";
import { createResidentBytes } from "./resident-bytes.ts";

const lagEveryMs = 250;

/** What is running. */
export interface RunningBuild {
  readonly version: string;
  readonly revision: string;
  readonly bun: string;
}

/** Measures until the returned function is called. */
export function registerProcessGauges(registry: Registry, clock: Clock, build: RunningBuild): () => void {
  const startedSeconds = clock.wallMs() / 1000 - process.uptime();
  let lagMs = 0;
  let stop = (): void => undefined;
  const beat = (): void => {
    const due = clock.now() + lagEveryMs;
    stop = clock.after(lagEveryMs, () => {
      // The worst of late fades, so that a scrape between two stalls still shows them.
      lagMs = Math.max(clock.now() - due, lagMs * 0.9, 0);
      beat();
    });
  };
  beat();
  const residentBytes = createResidentBytes();

  registry.gauge("tierline_build_info", "What is running.", ["version", "revision", "bun"], (set) =>
    set(1, build.version, build.revision, build.bun),
  );
  registry.gauge(
    "tierline_event_loop_lag_seconds",
    "How late timers run, the worst of the last seconds.",
    [],
    (set) => set(lagMs / 1000),
  );
  registry.gauge("process_resident_memory_bytes", "Resident memory.", [], (set) => set(residentBytes()));
  registry.gauge("process_start_time_seconds", "When the process started, in Unix time.", [], (set) =>
    set(startedSeconds),
  );
  registry.gauge(
    "process_cpu_seconds_total",
    "CPU time, user and system.",
    [],
    (set) => {
      const { user, system } = process.cpuUsage();
      set((user + system) / 1e6);
    },
    "counter",
  );
  return () => stop();
}
