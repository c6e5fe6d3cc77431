// Sets up what `bun run dev` shows: three hosts on loopback that are one fleet, each with the real binary beside its engines.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Bronze } from "./bronze.ts";
import { startBronze } from "./bronze.ts";
import type { Children } from "./children.ts";
import { membersSeen } from "./fleet-view.ts";
import type { Engine, Host, HostPlan } from "./host.ts";
import { engineOf, openHost, playground } from "./host.ts";
import { fleetPorts } from "./ports.ts";
import { until } from "./until.ts";

export interface House {
  readonly gold1: Host;
  readonly gold2: Host;
  readonly silver1: Host;
  /** All of them, in this order. */
  readonly hosts: readonly Host[];
  /** Beside Silver. Undefined where llama.cpp cannot be loaded on this machine; `withoutLlama` says why. */
  readonly llama: Engine | undefined;
  readonly withoutLlama: string | undefined;
  readonly bronze: Bronze;
  /** Whether the ports are those that the documentation names. */
  readonly usualPorts: boolean;
}

const gold = { tier: "gold", model: "npc-3b", msPerToken: 9 } as const;
const silver = { tier: "silver", model: "storyteller-7b", msPerToken: 25 } as const;
const llamaModel = "tiny-npc";

export async function openHouse(folder: string, children: Children): Promise<House> {
  const { usual, ports } = fleetPorts(3);
  const secretFile = join(folder, "gossip.key");
  const secret = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");
  writeFileSync(secretFile, `${secret}\n`, { mode: 0o600 });

  const seeds = ports.map(({ gossip }) => `127.0.0.1:${gossip}`);
  const bronzeStarts = startBronze(folder, children);
  const open = async (plan: HostPlan, llama?: Engine): Promise<Host> =>
    openHost({ plan, folder, children, seeds, secretFile, llama, bronze: await bronzeStarts });
  const [first, second, third] = ports;
  if (first === undefined || second === undefined || third === undefined) throw new Error("too few ports");
  const llamaStarts = startLlama(children);
  const [gold1, gold2, silver1] = await Promise.all([
    open({ name: "gold-1", ...gold, ports: first }),
    open({ name: "gold-2", ...gold, ports: second }),
    llamaStarts.then(({ engine }) => open({ name: "silver-1", ...silver, ports: third }, engine)),
  ]);
  const { engine, reason } = await llamaStarts;
  const hosts = [gold1, gold2, silver1];
  await until(() => knowEachOther(hosts), acquaintedWithinMs);
  return {
    gold1,
    gold2,
    silver1,
    hosts,
    llama: engine,
    withoutLlama: reason,
    bronze: await bronzeStarts,
    usualPorts: usual,
  };
}

/** News travel twice a second. Who waits longer sees in the tour what is wrong. */
const acquaintedWithinMs = 10_000;

async function knowEachOther(hosts: readonly Host[]): Promise<boolean> {
  const seen = await Promise.all(hosts.map(({ adminUrl }) => membersSeen(adminUrl)));
  return seen.every(
    (members) =>
      members.length === hosts.length &&
      members.every(
        ({ endpoints }) => endpoints.length > 0 && endpoints.every(({ state }) => state === "ok"),
      ),
  );
}

/** Builds the binary, or throws what the build said. */
export async function buildBinary(children: Children): Promise<void> {
  const build = await children.run([process.execPath, join(playground, "../scripts/build.ts")]);
  if (build.code !== 0) throw new Error(`the build failed:\n${build.stdout}${build.stderr}`);
}

interface LlamaStart {
  readonly engine: Engine | undefined;
  readonly reason: string | undefined;
}

async function startLlama(children: Children): Promise<LlamaStart> {
  const cmd = [process.execPath, join(playground, "llama-engine.ts"), "--model", llamaModel];
  try {
    return { engine: engineOf(await children.start("llama", cmd)), reason: undefined };
  } catch (error) {
    return { engine: undefined, reason: error instanceof Error ? error.message : String(error) };
  }
}
