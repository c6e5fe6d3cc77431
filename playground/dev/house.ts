// Sets up what `bun run dev` shows: two simulated engines, a real llama.cpp, and the real binary between them.

import { join } from "node:path";
import type { Child, Children } from "./children.ts";

interface Engine {
  readonly url: string;
  readonly controlUrl: string;
  readonly model: string;
}

export interface House {
  readonly publicUrl: string;
  readonly adminUrl: string;
  readonly gold: Engine & { crash(): Promise<void>; restart(): Promise<void> };
  readonly silver: Engine;
  /** Undefined where llama.cpp cannot be loaded on this machine; `withoutLlama` says why. */
  readonly llama: Engine | undefined;
  readonly withoutLlama: string | undefined;
  readonly configPath: string;
  readonly logPath: string;
}

const root = join(import.meta.dir, "../..");
const playground = join(root, "playground");

const goldModel = "npc-3b";
const silverModel = "storyteller-7b";
const llamaModel = "tiny-npc";

export async function openHouse(folder: string, children: Children): Promise<House> {
  const startGold = (ports: EnginePorts): Promise<Child> =>
    children.start("gold", simulatedEngine(goldModel, 9, ports));
  const [firstGold, silver, llama] = await Promise.all([
    startGold(anyPorts),
    children.start("silver", simulatedEngine(silverModel, 25, anyPorts)),
    startLlama(children),
  ]);
  const gold = engineOf(firstGold);
  let runningGold = firstGold;

  const configPath = join(folder, "tierline.toml");
  const engines = [
    engineTable("gold", "vllm", gold, "gold"),
    engineTable("silver", "vllm", engineOf(silver), "silver"),
    ...(llama.engine === undefined ? [] : [engineTable("silver", "llama-cpp", llama.engine, "llama")]),
  ];
  await Bun.write(configPath, configText(addresses(), folder, engines));
  const router = await children.start("tierline", [
    join(root, "dist/tierline"),
    "serve",
    "--config",
    configPath,
  ]);

  return {
    publicUrl: urlOf(router, "public"),
    adminUrl: urlOf(router, "admin"),
    gold: {
      ...gold,
      crash: () => runningGold.crash(),
      async restart() {
        runningGold = await startGold({ inference: portOf(gold.url), control: portOf(gold.controlUrl) });
      },
    },
    silver: engineOf(silver),
    llama: llama.engine,
    withoutLlama: llama.reason,
    configPath,
    logPath: router.logPath,
  };
}

interface EnginePorts {
  readonly inference: number;
  readonly control: number;
}

const anyPorts: EnginePorts = { inference: 0, control: 0 };

const simulatedEngine = (
  model: string,
  msPerToken: number,
  { inference, control }: EnginePorts,
): string[] => [
  process.execPath,
  join(playground, "simulated-engine.ts"),
  ...["--model", model, "--ms-per-token", `${msPerToken}`],
  ...["--port", `${inference}`, "--control-port", `${control}`],
];

/** Builds the binary, or throws what the build said. */
export async function buildBinary(): Promise<void> {
  const build = Bun.spawn([process.execPath, join(root, "scripts/build.ts")], {
    stdout: "pipe",
    stderr: "pipe",
  });
  const [output, errors, code] = await Promise.all([
    new Response(build.stdout).text(),
    new Response(build.stderr).text(),
    build.exited,
  ]);
  if (code !== 0) throw new Error(`the build failed:\n${output}${errors}`);
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

interface Addresses {
  readonly public: string;
  readonly admin: string;
}

/** The usual ports where both are free, so that what the documentation says can be typed; else any. */
function addresses(): Addresses {
  const usual = { public: "127.0.0.1:8010", admin: "127.0.0.1:8011" };
  return isFree(8010) && isFree(8011) ? usual : { public: "127.0.0.1:0", admin: "127.0.0.1:0" };
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

const engineTable = (tier: string, kind: string, engine: Engine, name: string): string =>
  `[[engine]]
tier = "${tier}"
kind = "${kind}"
name = "${name}"
url  = "${engine.url}"
max_concurrent = ${kind === "llama-cpp" ? 4 : 32}
`;

const configText = (listen: Addresses, folder: string, engines: readonly string[]): string =>
  `# Written by bun run dev.
[host]
name = "playground"

[listen]
public = "${listen.public}"
admin  = "${listen.admin}"

[state]
dir = "${join(folder, "state")}"

${engines.join("\n")}
# Guards decide from memory; only Gold is asked behind, so that its death shows.
[intents]
stale_ms = 3000

[intents.archetype.guard]
prompt  = "You are a castle guard on the wall at night."
actions = ["patrol", "investigate", "attack", "take_cover", "flee", "call_help"]
default = "patrol"
pick    = "sample"
model   = "${goldModel}"

[intents.archetype.guard.feature]
threat          = { buckets = [0.2, 0.5, 0.8] }
player_distance = { buckets = [2, 5, 10, 20], unit = "m" }
alerted         = { bool = true }
weather         = { oneof = ["clear", "rain", "fog"] }
`;

function engineOf(child: Child): Engine {
  return {
    url: urlOf(child, "url"),
    controlUrl: urlOf(child, "control"),
    model: String(child.ready["model"]),
  };
}

function urlOf(child: Child, member: string): string {
  const url = child.ready[member];
  if (typeof url !== "string") throw new Error(`${child.name} did not say its ${member}`);
  return url;
}

const portOf = (url: string): number => Number(new URL(url).port);
