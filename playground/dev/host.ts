// One host of the small fleet: its simulated engine, perhaps a llama.cpp, and the real binary beside them.

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Child, Children } from "./children.ts";

export const playground = join(import.meta.dir, "..");
const binary = join(playground, "../dist/tierline");

export interface Engine {
  readonly url: string;
  readonly controlUrl: string;
  readonly model: string;
}

export interface HostPlan {
  readonly name: string;
  readonly tier: "gold" | "silver";
  readonly model: string;
  readonly msPerToken: number;
  readonly ports: HostPorts;
}

export interface HostPorts {
  readonly public: number;
  readonly admin: number;
  readonly gossip: number;
}

export interface Host extends HostPlan {
  readonly publicUrl: string;
  readonly adminUrl: string;
  readonly engine: Engine;
  readonly configPath: string;
  /** Of the router that runs now. */
  pid(): number;
  /** `tierline …` of this router: its exit status, and what it says. */
  tierline(...words: readonly string[]): Promise<Said>;
  /** kill -9 of the engine alone. */
  crashEngine(): Promise<void>;
  restartEngine(): Promise<void>;
  /** kill -9 of the router and its engine at once, as when the machine loses its power. */
  crash(): Promise<void>;
  restart(): Promise<void>;
}

export interface Said {
  readonly code: number;
  readonly lines: readonly string[];
}

export interface HostParts {
  readonly plan: HostPlan;
  readonly folder: string;
  readonly children: Children;
  readonly seeds: readonly string[];
  readonly secretFile: string;
  readonly llama: Engine | undefined;
  readonly bronze: HostBronze;
}

export interface HostBronze {
  /** `[tier.bronze]`, the same on all hosts. */
  readonly config: string;
  /** What a router is started with, so that nothing of it can come to a real AWS. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

export async function openHost({
  plan,
  folder,
  children,
  seeds,
  secretFile,
  llama,
  bronze,
}: HostParts): Promise<Host> {
  const { name, ports } = plan;
  const startEngine = (inference: number, control: number): Promise<Child> =>
    children.start(`${name}-engine`, [
      process.execPath,
      join(playground, "simulated-engine.ts"),
      ...["--model", plan.model, "--ms-per-token", `${plan.msPerToken}`],
      ...["--port", `${inference}`, "--control-port", `${control}`],
    ]);
  const configPath = join(folder, `${name}.toml`);
  const startRouter = (): Promise<Child> =>
    children.start(name, [binary, "serve", "--config", configPath], bronze.env);

  let engineRuns = await startEngine(0, 0);
  const engine = engineOf(engineRuns);
  const stateDir = join(folder, `${name}-state`);
  mkdirSync(stateDir);
  const engines = [
    engineTable(plan.tier, "vllm", "vllm", engine),
    ...(llama === undefined ? [] : [engineTable("silver", "llama-cpp", "llama", llama)]),
  ];
  const tiers = [...engines, bronze.config].join("\n");
  writeFileSync(configPath, configText(plan, stateDir, secretFile, seeds, tiers));
  let routerRuns = await startRouter();

  const restartEngine = async (): Promise<void> => {
    engineRuns = await startEngine(portOf(engine.url), portOf(engine.controlUrl));
  };
  const adminUrl = `http://127.0.0.1:${ports.admin}`;
  return {
    ...plan,
    publicUrl: `http://127.0.0.1:${ports.public}`,
    adminUrl,
    engine,
    configPath,
    pid: () => routerRuns.pid,
    async tierline(...words) {
      const { code, stdout, stderr } = await children.run([binary, ...words, "--admin", adminUrl]);
      return { code, lines: (stdout + stderr).trimEnd().split("\n") };
    },
    crashEngine: () => engineRuns.crash(),
    restartEngine,
    async crash() {
      await Promise.all([routerRuns.crash(), engineRuns.crash()]);
    },
    async restart() {
      await restartEngine();
      routerRuns = await startRouter();
    },
  };
}

export function engineOf(child: Child): Engine {
  return {
    url: urlOf(child, "url"),
    controlUrl: urlOf(child, "control"),
    model: String(child.ready["model"]),
  };
}

export function urlOf(child: Child, member: string): string {
  const url = child.ready[member];
  if (typeof url !== "string") throw new Error(`${child.name} did not say its ${member}`);
  return url;
}

const portOf = (url: string): number => Number(new URL(url).port);

const engineTable = (tier: string, kind: string, name: string, { url }: Engine): string =>
  `[[engine]]
tier = "${tier}"
kind = "${kind}"
name = "${name}"
url  = "${url}"
max_concurrent = ${kind === "llama-cpp" ? 4 : 32}
`;

/** Guards are asked of Gold alone, so that they show what its hanging does. */
const guardModel = "npc-3b";

const configText = (
  { name, ports }: HostPlan,
  stateDir: string,
  secretFile: string,
  seeds: readonly string[],
  tiers: string,
): string =>
  `# Written by bun run dev.
[host]
name = "${name}"

[listen]
public = "127.0.0.1:${ports.public}"
admin  = "127.0.0.1:${ports.admin}"
gossip = "127.0.0.1:${ports.gossip}"

[cluster]
fleet = "playground"
seeds = ${JSON.stringify(seeds)}
secret_file = ${JSON.stringify(secretFile)}

[state]
dir = ${JSON.stringify(stateDir)}

${tiers}
[intents]
stale_ms = 2000

[intents.archetype.guard]
prompt  = "You are a castle guard on the wall at night."
actions = ["patrol", "investigate", "attack", "take_cover", "flee", "call_help"]
default = "patrol"
pick    = "sample"
model   = "${guardModel}"

[intents.archetype.guard.feature]
threat          = { buckets = [0.2, 0.5, 0.8] }
player_distance = { buckets = [2, 5, 10, 20], unit = "m" }
alerted         = { bool = true }
weather         = { oneof = ["clear", "rain", "fog"] }
`;
