// Two compiled routers on loopback that are one fleet, before engines of the test's own.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { until } from "./chat.ts";
import type { Tierline } from "./tierline.ts";
import { startTierline } from "./tierline.ts";

export interface PairHost {
  readonly name: string;
  /** Its engines, and whatever else it alone has. */
  readonly config: string;
  /** Where its state is, and stays. */
  readonly dir?: string;
}

export interface Pair {
  readonly first: Tierline;
  readonly second: Tierline;
  /** The second once more, which has been stopped. */
  again(): Promise<Tierline>;
  stop(): Promise<void>;
}

/** `shared`: what both have in their configuration. Resolves when each has heard of the other. */
export async function startPair(hosts: readonly [PairHost, PairHost], shared = ""): Promise<Pair> {
  const dir = mkdtempSync(join(tmpdir(), "tierline-pair-"));
  const secretFile = join(dir, "gossip.key");
  writeFileSync(secretFile, `${"0123456789abcdef".repeat(4)}\n`);
  const start = ({ name, config, dir: own }: PairHost, seeds: readonly string[]): Promise<Tierline> =>
    startTierline({
      name,
      ...(own === undefined ? {} : { dir: own }),
      listen: 'public = "127.0.0.1:0"\nadmin = "127.0.0.1:0"\ngossip = "127.0.0.1:0"',
      config: `[cluster]
fleet = "pair"
advertise = "127.0.0.1"
secret_file = ${JSON.stringify(secretFile)}
seeds = ${JSON.stringify(seeds)}
${shared}
${config}`,
    });
  const first = await start(hosts[0], []);
  const { gossip } = await first.logged((line) => line["msg"] === "ready");
  const startSecond = async (): Promise<Tierline> => {
    const second = await start(hosts[1], [new URL(String(gossip)).host]);
    started.push(second);
    const alive = (host: Tierline): Promise<number> => host.metric("tierline_members", { state: "alive" });
    await until("both see two alive", async () => (await alive(first)) === 2 && (await alive(second)) === 2);
    return second;
  };
  const started = [first];
  const stop = async (): Promise<void> => {
    await Promise.all(started.map((host) => host.stop()));
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    return { first, second: await startSecond(), again: startSecond, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
