// Figures about what this host has only so much of, read when somebody asks for the metrics.

import type { Scarce } from "../base/strain.ts";
import { scarce } from "../base/strain.ts";
import type { Registry } from "./registry.ts";

export interface StrainFigures {
  /** Undefined: not known, or without a limit. */
  readonly limit: number | undefined;
  readonly used: number | undefined;
}

/** Each is looked up when it is asked for, in files of the kernel. */
export interface StrainRead extends Readonly<Record<Scarce, () => StrainFigures>> {
  /** 0: at none. */
  step(what: Scarce): number;
}

export function registerStrainGauges(registry: Registry, read: StrainRead): void {
  registry.gauge("process_open_fds", "Open file descriptors.", [], (set) => {
    const { used } = read.descriptors();
    if (used !== undefined) set(used);
  });
  registry.gauge("process_max_fds", "File descriptors that the process may have.", [], (set) => {
    const { limit } = read.descriptors();
    if (limit !== undefined) set(limit);
  });
  registry.gauge(
    "tierline_host_pressure_ratio",
    "How much is used of what the process may have: file descriptors; memory with its sockets' buffers.",
    ["resource"],
    (set) => {
      for (const resource of scarce) {
        const { used, limit } = read[resource]();
        if (used !== undefined && limit !== undefined) set(used / limit, resource);
      }
    },
  );
  registry.gauge(
    "tierline_host_strain",
    "What is done about it: 0 nothing. Descriptors: 1 answers close their connections, 2 requests are refused, 3 the public listener is shut. Memory: 1 caches are halved, 2 answers close their connections, 3 requests are refused.",
    ["resource"],
    (set) => {
      for (const resource of scarce) set(read.step(resource), resource);
    },
  );
}
