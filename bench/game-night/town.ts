// Three hosts, each with a gold and a silver engine and what stands in front of them; and what can befall them.

import { join } from "node:path";
import type { Tier } from "./cast.ts";
import { engines, tiers } from "./cast.ts";
import type { Door } from "./doors.ts";
import type { Act } from "./evening.ts";
import type { Front, FrontParts } from "./front.ts";
import type { Ground } from "./ground.ts";
import type { Process, Processes } from "./processes.ts";

export interface Town {
  readonly doors: readonly Door[];
  /** Resolves when it is done, which a restart of all takes seconds for. */
  act(act: Act): Promise<void>;
}

interface Host {
  readonly engines: Partial<Record<Tier, Process>>;
  front: Process;
}

const script = join(import.meta.dir, "../../playground/simulated-engine.ts");

export async function openTown(
  ground: Ground,
  processes: Processes,
  makeFront: (parts: FrontParts) => Front,
  folder: string,
): Promise<Town> {
  const spots = ground.hosts;
  const front = makeFront({ spots, processes, folder });

  const startEngine = (index: number, tier: Tier): Promise<Process> => {
    const spot = spots[index];
    if (spot === undefined) throw new Error(`there is no host ${index}`);
    const { model, port, msPerToken, slots } = engines[tier];
    return processes.start(
      `${spot.name}-${tier}`,
      [
        ...[...spot.behind, process.execPath, script, "--host", spot.address, "--port", `${port}`],
        ...["--model", model, "--ms-per-token", `${msPerToken}`, "--max-num-seqs", `${slots}`],
      ],
      '"msg":"ready"',
    );
  };
  const startHost = async (index: number): Promise<Host> => {
    const started = await Promise.all(tiers.map((tier) => startEngine(index, tier)));
    const [gold, silver] = started;
    return {
      engines: { ...(gold && { gold }), ...(silver && { silver }) },
      front: await front.start(index),
    };
  };
  const hosts = await Promise.all(spots.map((_, index) => startHost(index)));
  const hostAt = (index: number): Host => {
    const host = hosts[index];
    if (host === undefined) throw new Error(`there is no host ${index}`);
    return host;
  };

  return {
    doors: front.doors,
    async act(act) {
      switch (act.do) {
        case "kill-engine":
          await hostAt(act.host).engines.gold?.kill();
          return;
        case "start-engine":
          hostAt(act.host).engines.gold = await startEngine(act.host, "gold");
          return;
        case "crash-host": {
          const { front: running, engines: beside } = hostAt(act.host);
          await Promise.all([running, ...Object.values(beside)].map((each) => each.kill()));
          return;
        }
        case "start-host":
          hosts[act.host] = await startHost(act.host);
          return;
        case "cut-off":
          ground.partition?.cutOff(act.host);
          return;
        case "heal":
          ground.partition?.heal();
          return;
        case "restart-all":
          for (const [index, host] of hosts.entries()) host.front = await front.restart(index, host.front);
      }
    },
  };
}
