// What stands between callers and engines on every host: tierline, or the proxy that a studio would have otherwise.

import type { Door } from "./doors.ts";
import type { Spot } from "./ground.ts";
import type { Process, Processes } from "./processes.ts";

export interface FrontParts {
  readonly spots: readonly Spot[];
  readonly processes: Processes;
  readonly folder: string;
}

export interface Front {
  readonly doors: readonly Door[];
  start(index: number): Promise<Process>;
  /** As its manual says it is ended without a request lost, and started again. */
  restart(index: number, running: Process): Promise<Process>;
}
