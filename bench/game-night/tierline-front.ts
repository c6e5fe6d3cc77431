// tierline on every host: one fleet, jobs on its own engines, nothing tuned.

import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { engines, sla, tiers } from "./cast.ts";
import type { Front, FrontParts } from "./front.ts";
import type { Spot } from "./ground.ts";
import { intentsToml } from "./npc-kinds.ts";

const ports = { public: 8010, admin: 8011, gossip: 8012 } as const;
const binary = resolve(import.meta.dir, "../../dist/tierline");

/** A restarted router takes traffic when its engines have been seen. */
const readyWithinMs = 10_000;

export function tierlineFront({ spots, processes, folder }: FrontParts): Front {
  const secretFile = join(folder, "gossip.key");
  writeFileSync(secretFile, `${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex")}\n`, {
    mode: 0o600,
  });
  const files = spots.map((spot) => {
    const stateDir = join(folder, `${spot.name}-state`);
    mkdirSync(stateDir);
    const file = join(folder, `${spot.name}.toml`);
    writeFileSync(file, configText(spot, spots, stateDir, secretFile));
    return file;
  });
  const spotAt = (index: number): Spot => {
    const spot = spots[index];
    if (spot === undefined) throw new Error(`there is no host ${index}`);
    return spot;
  };

  const start: Front["start"] = (index) => {
    const { name, behind } = spotAt(index);
    const command = [...behind, binary, "serve", "--config", files[index] ?? ""];
    return processes.start(`${name}-tierline`, command, '"msg":"ready"');
  };
  return {
    doors: spots.map(({ name, address }) => {
      const url = `http://${address}:${ports.public}`;
      return { name, urls: { gold: url, silver: url } };
    }),
    start,
    async restart(index, running) {
      const { address, behind } = spotAt(index);
      const admin = `http://${adminHost(address, behind)}:${ports.admin}`;
      await processes.run([...behind, binary, "drain", "--wait", "--admin", admin]);
      await running.end("SIGTERM");
      const started = await start(index);
      const look = `process.exit((await fetch("${admin}/readyz")).ok ? 0 : 1)`;
      const fromMs = performance.now();
      while ((await processes.run([...behind, process.execPath, "-e", look])) !== undefined) {
        if (performance.now() - fromMs > readyWithinMs) throw new Error(`${admin} is not ready`);
        await Bun.sleep(50);
      }
      return started;
    },
  };
}

/** In a namespace of its own loopback is the host's alone. */
const adminHost = (address: string, behind: readonly string[]): string =>
  behind.length === 0 ? address : "127.0.0.1";

const configText = (
  { name, address, behind }: Spot,
  spots: readonly Spot[],
  stateDir: string,
  secretFile: string,
): string => `# Written by bun run game-night.
[host]
name = "${name}"
[listen]
public = "${address}:${ports.public}"
admin = "${adminHost(address, behind)}:${ports.admin}"
gossip = "${address}:${ports.gossip}"
[auth]
mode = "none"
[cluster]
fleet = "game-night"
advertise = "${address}"
seeds = ${JSON.stringify(spots.map((spot) => `${spot.address}:${ports.gossip}`))}
secret_file = ${JSON.stringify(secretFile)}
[state]
dir = ${JSON.stringify(stateDir)}
[tier.bronze]
runner = "local"
${tiers
  .map(
    (tier) => `[[engine]]
tier = "${tier}"
kind = "vllm"
name = "${tier}"
url = "http://${address}:${engines[tier].port}"
max_concurrent = ${engines[tier].slots}
`,
  )
  .join("")}${intentsToml(sla.intentDeadlineMs)}`;
