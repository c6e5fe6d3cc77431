// Where the hosts listen: 8010, 8011 and 8012 for the first, 8020 … for the second, and so on, as the documentation has
// it; where one of those is taken, free ones for all.

import type { HostPorts } from "./host.ts";

export interface FleetPorts {
  readonly usual: boolean;
  readonly ports: readonly HostPorts[];
}

export function fleetPorts(hosts: number): FleetPorts {
  const usual = Array.from({ length: hosts }, (_, index) => {
    const base = 8010 + 10 * index;
    return { public: base, admin: base + 1, gossip: base + 2 };
  });
  if (usual.flatMap(Object.values<number>).every(isFree)) return { usual: true, ports: usual };
  const given = new Set<number>();
  return { usual: false, ports: usual.map(() => freePorts(given)) };
}

/** `given`: those that others have; what is answered is added. */
export const freePorts = (given: Set<number>): HostPorts => ({
  public: freePort(given),
  admin: freePort(given),
  gossip: freePort(given),
});

/** Below what systems give out by themselves, so that nobody's connection has it while its host is away. */
function freePort(given: Set<number>): number {
  for (;;) {
    const port = 12_000 + Math.floor(Math.random() * 18_000);
    if (given.has(port) || !isFree(port)) continue;
    given.add(port);
    return port;
  }
}

function isFree(port: number): boolean {
  try {
    Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop(true);
    return true;
  } catch {
    // Whatever keeps us from listening there would keep the router from it.
    return false;
  }
}
