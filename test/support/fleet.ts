// A fleet of compiled routers, each with simulated engines beside it: on loopback, or every host in a network of its own
// (netns.ts). What is done to a host here is done to its router; the engines beside it stay, unless a test breaks them.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { z } from "zod";
import { freePorts } from "../../playground/dev/ports.ts";
import type { Fault } from "../../playground/simulated/faults.ts";
import { messages, until } from "./chat.ts";
import type { CallerAnswer, CallerAsk } from "./fleet-caller.ts";
import { startHelper } from "./helper-process.ts";
import type { CompanionAsk, CompanionReady, Slowness } from "./host-companion.ts";
import type { Net, Place } from "./netns.ts";
import { createNet, ports } from "./netns.ts";
import type { LogLine, Reach, Tierline } from "./tierline.ts";
import { binary, engineToml, startTierline } from "./tierline.ts";

export type FleetTier = "gold" | "silver";

export interface HostPlan {
  readonly name: string;
  /** One engine each; they are called vllm, vllm-2. */
  readonly tiers: readonly FleetTier[];
  readonly config?: string;
}

export interface FleetOptions {
  readonly hosts: readonly HostPlan[];
  /** For every host, beside what is made here. */
  readonly config?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly msPerToken?: number;
  /** As they stand at each start and reload; else where the hosts are at first. */
  readonly seeds?: () => readonly string[] | undefined;
  /** Each host in a namespace of its own, and the callers in one. */
  readonly apart?: boolean;
  /** Every byte between two hosts apart is late, both ways, until `heal`. */
  readonly slowness?: Slowness;
}

const fleetSeen = z.object({
  self: z.string(),
  members: z.array(
    z.object({
      name: z.string(),
      state: z.enum(["alive", "suspect", "dead", "left"]),
      draining: z.boolean(),
      incarnation: z.number(),
      public: z.string(),
    }),
  ),
});
export type Member = z.output<typeof fleetSeen>["members"][number];

const requestsSeen = z.object({ requests: z.array(z.object({ path: z.string(), body: z.string() })) });

export interface FleetEngine {
  readonly model: string;
  /** None: it is well again. */
  fault(...faults: readonly Fault[]): Promise<void>;
  /** The bodies of the chat requests that it was asked, oldest first. */
  asked(): Promise<readonly string[]>;
}

export interface FleetHost {
  readonly name: string;
  readonly engines: readonly FleetEngine[];
  readonly router: Tierline;
  /** A path of the public or of the admin listener. */
  get(path: string, init?: RequestInit): Promise<Response>;
  admin(path: string, init?: RequestInit): Promise<Response>;
  /** To the gossip listener. */
  gossipPost(body: Uint8Array<ArrayBuffer>, headers: Readonly<Record<string, string>>): Promise<Response>;
  chat(body?: object, headers?: Readonly<Record<string, string>>): Promise<Response>;
  /** As this host sees them. */
  members(): Promise<readonly Member[]>;
  sees(name: string): Promise<string | undefined>;
  cli(...args: readonly string[]): Promise<{ code: number; out: string }>;
  /** kill -9. */
  kill(): Promise<void>;
  freeze(): void;
  thaw(): void;
  /** SIGTERM; its exit status. */
  end(): Promise<number>;
  /** With the configuration and the state that it had, or under another name. */
  start(name?: string): Promise<void>;
  /** Before the next start, on loopback: it will listen elsewhere, and the others' seeds still say where it was. */
  move(): void;
  /** A running router gets this beside its configuration, by SIGHUP. */
  reload(more: string): Promise<void>;
}

export interface Load {
  /** What has ended so far. */
  readonly answers: readonly CallerAnswer[];
  /** Waits for what is under way. */
  stop(): Promise<readonly CallerAnswer[]>;
}

export interface Fleet {
  readonly hosts: readonly FleetHost[];
  readonly secret: string;
  readonly net: Net | undefined;
  host(name: string): FleetHost;
  /** Every running member sees every running member alive, and nobody else so. */
  together(timeoutMs?: number): Promise<void>;
  load(ask: Partial<CallerAsk>): Promise<Load>;
  /** Ends whatever the network suffers. */
  heal(): Promise<void>;
  /** Adds to the error of a failed test what the routers logged. */
  told(act: () => Promise<void>): () => Promise<void>;
  stop(): Promise<void>;
}

export const fleetName = "test-fleet";
/** A machine that stands still for half a second is no fault of a fleet: there is time to ask another host after it. */
export const patient = "[sla.realtime]\nfirst_byte_ms = 2000\ntotal_ms = 7000\n";
const models: Readonly<Record<FleetTier, string>> = { gold: "small", silver: "large" };
const slowDoors = { [ports.public]: 9010, [ports.gossip]: 9012 } as const;

export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const dir = mkdtempSync(join(tmpdir(), "tierline-fleet-"));
  const secret = Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("hex");
  writeFileSync(join(dir, "gossip.key"), `${secret}\n`);
  const names = options.hosts.map(({ name }) => name);
  const net = options.apart === true ? createNet(names, ["caller"]) : undefined;
  const placed = options.hosts.map((plan) => ({
    plan,
    at: net === undefined ? onLoopback() : apart(net.place(plan.name)),
  }));
  const seeds = placed.map(({ at }) => `${at.address}:${at.ports.gossip}`);

  const hosts: Host[] = [];
  const loads: Load[] = [];
  const stop = async (): Promise<void> => {
    for (const load of loads) await load.stop();
    await Promise.all(hosts.map((host) => host.close()));
    net?.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    for (const { plan, at } of placed) hosts.push(await openHost({ plan, at, seeds, dir, options }));
    const { slowness } = options;
    if (slowness !== undefined) {
      await Promise.all(hosts.map((host) => host.slow(slowness)));
      net?.slow(slowDoors);
    }
    await Promise.all(hosts.map((host) => host.start()));
  } catch (error) {
    await stop();
    throw error;
  }

  const story = (): string => hosts.map((host) => host.story()).join("\n");
  const fleet: Fleet = {
    hosts,
    secret,
    net,
    host(name) {
      const found = hosts.find((host) => host.name === name);
      if (found === undefined) throw new Error(`no such host: ${name}`);
      return found;
    },
    async together(timeoutMs = 10_000) {
      const running = hosts.filter((host) => host.isRunning());
      const wanted = running
        .map(({ name }) => name)
        .sort()
        .join();
      await until(
        `all see ${wanted}`,
        async () => {
          const seen = await Promise.all(running.map((host) => host.members().catch(() => [])));
          return seen.every(
            (members) =>
              members
                .filter(({ state }) => state === "alive")
                .map(({ name }) => name)
                .sort()
                .join() === wanted,
          );
        },
        timeoutMs,
      );
    },
    async load(ask) {
      const doors = hosts.map(({ name, at }) => ({ name, url: `http://${at.address}:${at.ports.public}` }));
      const load = await startLoad(net?.place("caller").behind ?? [], { ...callers, doors, ...ask });
      loads.push(load);
      return load;
    },
    async heal() {
      await Promise.all(hosts.map((host) => host.slow({ delayMs: 0, jitterMs: 0 })));
      net?.heal();
    },
    told: (act) => async () => {
      try {
        await act();
      } catch (error) {
        if (error instanceof Error) error.message += `\n${story()}`;
        throw error;
      }
    },
    stop,
  };
  await fleet.together(15_000).catch(async (error: unknown) => {
    const told = story();
    await stop();
    throw error instanceof Error ? new Error(`${error.message}\n${told}`) : error;
  });
  return fleet;
}

const callers: Omit<CallerAsk, "doors"> = {
  perSecond: 100,
  models: ["gold", "silver"],
  tokens: 4,
  patienceMs: 8000,
  readyEveryMs: 100,
  again: false,
};

/** Where a host is, and what it listens on. */
interface Spot {
  readonly address: string;
  readonly behind: readonly string[];
  readonly reach: Reach;
  readonly socketOf: Place["socketOf"] | undefined;
  ports: { readonly public: number; readonly admin: number; readonly gossip: number };
  /** Given out by the system on loopback. */
  readonly enginePort: number;
  readonly controlPort: number;
}

const apart = (place: Place): Spot => ({
  ...place,
  ports,
  enginePort: ports.engine,
  controlPort: ports.control,
});

const given = new Set<number>();
const loopbackPorts = (): Spot["ports"] => freePorts(given);

function onLoopback(): Spot {
  return {
    address: "127.0.0.1",
    behind: [],
    reach: (url, init) => fetch(url, init),
    socketOf: undefined,
    ports: loopbackPorts(),
    enginePort: 0,
    controlPort: 0,
  };
}

interface Host extends FleetHost {
  readonly at: Spot;
  isRunning(): boolean;
  slow(slowness: Slowness): Promise<void>;
  story(): string;
  close(): Promise<void>;
}

interface HostParts {
  readonly plan: HostPlan;
  readonly at: Spot;
  readonly seeds: readonly string[];
  readonly dir: string;
  readonly options: FleetOptions;
}

async function openHost({ plan, at, seeds, dir: fleetDir, options }: HostParts): Promise<Host> {
  const dir = join(fleetDir, plan.name);
  mkdirSync(dir);
  const listens = at.socketOf === undefined ? "127.0.0.1" : "0.0.0.0";
  const companion = await startCompanion(at, {
    engines: plan.tiers.map((tier, index) => ({
      model: models[tier],
      msPerToken: options.msPerToken ?? 5,
      port: at.enginePort === 0 ? 0 : at.enginePort + index,
      controlPort: at.controlPort === 0 ? 0 : at.controlPort - index,
    })),
    sockets: socketsOf(at, plan.tiers.length),
    slowDoors:
      at.socketOf === undefined
        ? {}
        : {
            [slowDoors[ports.public]]: `127.0.0.1:${ports.public}`,
            [slowDoors[ports.gossip]]: `127.0.0.1:${ports.gossip}`,
          },
  });
  const engines = companion.ready.engines.map((engine, index): FleetEngine => {
    const tier = plan.tiers[index] ?? "gold";
    const json = { "content-type": "application/json" };
    return {
      model: models[tier],
      async fault(...faults) {
        await at.reach(`${engine.controlUrl}/control`, {
          method: "POST",
          headers: json,
          body: JSON.stringify({ faults }),
        });
      },
      async asked() {
        const { requests } = requestsSeen.parse(
          await (await at.reach(`${engine.controlUrl}/control/requests`)).json(),
        );
        return requests.filter(({ path }) => path === "/v1/chat/completions").map(({ body }) => body);
      },
    };
  });

  const config = (more = ""): string => `[cluster]
fleet = "${fleetName}"
advertise = "${at.address}"
secret_file = ${JSON.stringify(join(fleetDir, "gossip.key"))}
seeds = ${JSON.stringify(options.seeds?.() ?? seeds)}
${`${options.config}${plan.config}`.includes("[auth]") ? "" : '[auth]\nmode = "none"\n'}
${options.config ?? ""}
${plan.config ?? ""}
${more}
${plan.tiers.map((tier, index) => engineToml(tier, companion.ready.engines[index]?.url ?? "")).join("")}`;

  const lives: { readonly name: string; readonly router: Tierline }[] = [];
  let running = false;
  const router = (): Tierline => {
    const last = lives.at(-1);
    if (last === undefined) throw new Error(`${plan.name} has not been started`);
    return last.router;
  };
  const admin = (path: string, init?: RequestInit): Promise<Response> =>
    at.reach(`http://127.0.0.1:${at.ports.admin}${path}`, { signal: AbortSignal.timeout(3000), ...init });
  const get = (path: string, init?: RequestInit): Promise<Response> =>
    at.reach(`http://${at.address}:${at.ports.public}${path}`, init);

  const host: Host = {
    get name() {
      return lives.at(-1)?.name ?? plan.name;
    },
    at,
    engines,
    get router() {
      return router();
    },
    get,
    admin,
    gossipPost: (body, headers) =>
      at.reach(`http://${at.address}:${at.ports.gossip}/gossip`, { method: "POST", body, headers }),
    chat: (body = {}, headers = {}) =>
      get("/v1/chat/completions", {
        method: "POST",
        headers: { "content-type": "application/json", ...headers },
        body: JSON.stringify({ model: "gold", messages, max_tokens: 2, ...body }),
      }),
    async members() {
      return fleetSeen.parse(await (await admin("/api/fleet")).json()).members;
    },
    async sees(name) {
      return (await host.members()).find((member) => member.name === name)?.state;
    },
    async cli(...args) {
      const child = Bun.spawn(
        [...at.behind, binary, ...args, "--admin", `http://127.0.0.1:${at.ports.admin}`],
        {
          stdout: "pipe",
          stderr: "pipe",
        },
      );
      const [out, err] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      return { code: await child.exited, out: out + err };
    },
    async kill() {
      running = false;
      router().signal("SIGKILL");
      await router().exited;
    },
    freeze: () => router().signal("SIGSTOP"),
    thaw: () => router().signal("SIGCONT"),
    async end() {
      running = false;
      return router().stop();
    },
    async start(name = host.name) {
      const started = await startTierline({
        config: config(),
        ...(options.env !== undefined && { env: options.env }),
        name,
        dir,
        behind: at.behind,
        reach: at.reach,
        listen: `public = "${listens}:${at.ports.public}"
admin = "127.0.0.1:${at.ports.admin}"
gossip = "${listens}:${at.ports.gossip}"`,
      });
      lives.push({ name, router: started });
      running = true;
    },
    move() {
      at.ports = loopbackPorts();
    },
    reload: (more) => router().reload(config(more)),
    isRunning: () => running,
    slow: companion.slow,
    story: () =>
      lives
        .map(
          ({ name, router: { log, stderr } }) =>
            `--- ${name}\n${log.filter(isTelling).slice(-40).map(brief).join("\n")}\n${stderr()}`,
        )
        .join("\n"),
    async close() {
      if (running) {
        host.thaw();
        await host.end();
      }
      companion.stop();
    },
  };
  return host;
}

/** What went well is no part of the story of a failure. */
const isTelling = ({ outcome }: LogLine): boolean => outcome !== "ok";

function brief({ time, msg, ...rest }: LogLine): string {
  const { level: _, pid: _pid, hostname: _host, name: _name, ...more } = rest;
  return `${String(time).slice(11)} ${String(msg)} ${JSON.stringify(more)}`;
}

function socketsOf({ socketOf, address }: Spot, engines: number): CompanionAsk["sockets"] {
  if (socketOf === undefined) return {};
  const sockets: Record<string, string> = {};
  const pair = (port: number, host: string): void => {
    const path = socketOf(port);
    if (path !== undefined) sockets[path] = `${host}:${port}`;
  };
  pair(ports.public, address);
  pair(ports.gossip, address);
  pair(ports.admin, "127.0.0.1");
  for (let index = 0; index < engines; index += 1) pair(ports.control - index, "127.0.0.1");
  return sockets;
}

interface Companion {
  readonly ready: CompanionReady;
  slow(slowness: Slowness): Promise<void>;
  stop(): void;
}

async function startCompanion({ behind }: Spot, ask: CompanionAsk): Promise<Companion> {
  const { child, line } = startHelper("host-companion.ts", ask, behind);
  const ready: CompanionReady = JSON.parse(await line());
  return {
    ready,
    async slow(slowness) {
      child.stdin.write(`${JSON.stringify(slowness)}\n`);
      await child.stdin.flush();
    },
    stop: () => child.kill(),
  };
}

async function startLoad(behind: readonly string[], ask: CallerAsk): Promise<Load> {
  const { child, lines, line } = startHelper("fleet-caller.ts", ask, behind);
  await line();
  const answers: CallerAnswer[] = [];
  const reading = (async () => {
    for (let line = await lines.next(); line.value !== undefined; line = await lines.next())
      answers.push(JSON.parse(line.value));
  })();
  return {
    answers,
    async stop() {
      await child.stdin.end();
      await reading;
      return answers;
    },
  };
}
