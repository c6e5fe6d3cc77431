// HAProxy on every host, in the router's place: all engines of a tier in turn, with health checks, a port for each tier.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { needTools } from "../rig/tools.ts";
import type { Tier } from "./cast.ts";
import { engines, tiers } from "./cast.ts";
import type { Front, FrontParts } from "./front.ts";
import type { Spot } from "./ground.ts";

const ports: Readonly<Record<Tier, number>> = { gold: 8010, silver: 8020 };

export function haproxyFront({ spots, processes, folder }: FrontParts): Front {
  const { haproxy } = needTools("haproxy");
  const files = spots.map((spot) => {
    const file = join(folder, `${spot.name}.cfg`);
    writeFileSync(file, configText(spot, spots));
    return file;
  });
  const start: Front["start"] = (index) => {
    const spot = spots[index];
    if (spot === undefined) throw new Error(`there is no host ${index}`);
    const command = [...spot.behind, haproxy, "-db", "-f", files[index] ?? ""];
    return processes.start(`${spot.name}-haproxy`, command);
  };
  return {
    doors: spots.map(({ name, address }) => ({
      name,
      urls: {
        gold: `http://${address}:${ports.gold}`,
        silver: `http://${address}:${ports.silver}`,
      },
    })),
    start,
    async restart(index, running) {
      // It takes no new connections, closes kept ones after their next answer, and ends with the last request.
      await running.end("SIGUSR1");
      return start(index);
    },
  };
}

/**
 * `redispatch 1` and not the bare word: else it would try a dead server three times before another. `abortonclose`: a player
 * who has left does not keep a slot. `http-no-delay`: else every first word is 45 ms late.
 */
const configText = ({ address }: Spot, spots: readonly Spot[]): string => `global
  nbthread 1
  maxconn 4096
  hard-stop-after 10s
defaults
  mode http
  timeout connect 1s
  timeout client 120s
  timeout server 120s
  retries 3
  option redispatch 1
  option http-no-delay
  option abortonclose
${tiers
  .map(
    (tier) => `frontend ${tier}
  bind ${address}:${ports[tier]}
  monitor-uri /readyz
  default_backend ${tier}
backend ${tier}
  balance roundrobin
  option httpchk GET /health
  default-server check inter 2s fall 3 rise 2
${spots.map((spot) => `  server ${spot.name} ${spot.address}:${engines[tier].port}`).join("\n")}
`,
  )
  .join("")}`;
