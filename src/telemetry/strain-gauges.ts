// Figures about what this host has only so much of, read when somebody asks for the metrics.

import type { Scarce } from "../base/strain.ts";
import type { Registry } from "./registry.ts";

export interface StrainFigures {
  /** Undefined: not known, or without a limit. */
  readonly limit: number | undefined;
  readonly used: number | undefined;
  /** 0: at none. */
  readonly step: number;
}

export function registerStrainGauges(
  registry: Registry,
  read: () => Readonly<Record<Scarce, StrainFigures>>,
): void {
  registry.gauge("process_open_fds", "Open file descriptors.", [], (set) => {
    const { used } = read().descriptors;
    if (used !== undefined) set(used);
  });
  registry.gauge("process_max_fds", "File descriptors that the process may have.", [], (set) => {
    const { limit } = read().descriptors;
    if (limit !== undefined) set(limit);
  });
  registry.gauge(
    "tierline_host_pressure_ratio",
    "How much is used of what the process may have: file descriptors; memory with its sockets' buffers.",
    ["resource"],
    (set) => {
      for (const [resource, { used, limit }] of Object.entries(read()))
        if (used !== undefined && limit !== undefined) set(used / limit, resource);
    },
  );
  registry.gauge(
    "tierline_host_strain",
    "What is done about it: 0 nothing. Descriptors: 1 answers close their connections, 2 requests are refused, 3 the public listener is shut. Memory: 1 caches are halved, 2 answers close their connections, 3 requests are refused.",
    ["resource"],
    (set) => {
      for (const [resource, { step }] of Object.entries(read())) set(step, resource);
    },
  );
}
