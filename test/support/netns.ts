// A network of its own for every host of a test: namespaces joined by a bridge, none of which leads anywhere else. Faults
// are rules of nftables at the receiver, because not every kernel has `tc netem`. Delay is for host-companion.ts.

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { needsRight, needsTool } from "./needs-tool.ts";
import type { Reach } from "./tierline.ts";

/** Inside a namespace nobody else listens, so ports are what an operator would write. */
export const ports = { public: 8010, admin: 8011, gossip: 8012, engine: 8000, control: 7999 } as const;

/** Where a process runs, and how a test outside reaches it. */
export interface Place {
  readonly name: string;
  readonly address: string;
  readonly behind: readonly string[];
  readonly reach: Reach;
  /** The Unix socket through which a port of this place is reached from outside; undefined: it is reached as it is. */
  socketOf(port: number): string | undefined;
}

export interface Net {
  place(name: string): Place;
  /** Of every packet between two hosts so much is lost. The callers' own way to the hosts stays whole. */
  lose(percent: number): void;
  /** Nothing that one of `from` sends reaches one of `to`. */
  cut(from: readonly string[], to: readonly string[]): void;
  /** What hosts open to these ports of one another from now on leads to other ports there. */
  slow(doors: Readonly<Record<number, number>>): void;
  heal(): void;
  stop(): void;
}

const prefix = "tierline-test";

/** Whether tests may build networks here. */
export function needsNet(): boolean {
  if (process.platform !== "linux") return needsRight("network namespaces are Linux's own");
  if (!needsTool("ip") || !needsTool("nft")) return false;
  try {
    const trial = createNet(["trial"], []);
    try {
      trial.lose(1);
      trial.slow({ 1: 2 });
    } finally {
      trial.stop();
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    return needsRight(
      `network namespaces with nftables cannot be made here, which takes root with CAP_SYS_ADMIN and CAP_NET_ADMIN (${error.message.trim()})`,
    );
  }
  return true;
}

let made = 0;

/** Hosts get 10.77.0.1 and on, those who call them 10.77.1.1 and on. */
export function createNet(hosts: readonly string[], callers: readonly string[]): Net {
  removeOrphans();
  made += 1;
  const id = `${prefix}${process.pid}-${made}`;
  const dir = mkdtempSync(join(tmpdir(), "tierline-net-"));
  const bridge = `${id}-bridge`;
  const places = new Map<string, Place>();
  const stop = (): void => {
    process.off("exit", stop);
    for (const { name } of places.values()) Bun.spawnSync(["ip", "netns", "del", `${id}-${name}`]);
    Bun.spawnSync(["ip", "netns", "del", bridge]);
    rmSync(dir, { recursive: true, force: true });
  };
  process.on("exit", stop);

  run("ip", "netns", "add", bridge);
  run("ip", "-n", bridge, "link", "add", "bridge", "type", "bridge");
  run("ip", "-n", bridge, "link", "set", "bridge", "up");
  const connect = (name: string, address: string): void => {
    const space = `${id}-${name}`;
    run("ip", "netns", "add", space);
    const socketOf = (port: number): string => join(dir, `${name}-${port}.sock`);
    places.set(name, {
      name,
      address,
      behind: ["ip", "netns", "exec", space],
      socketOf,
      reach: (url, init) => fetch(url, { ...init, unix: socketOf(Number(new URL(url).port)) }),
    });
    run(
      "ip",
      "-n",
      bridge,
      "link",
      "add",
      "name",
      name,
      "type",
      "veth",
      "peer",
      "name",
      "eth0",
      "netns",
      space,
    );
    run("ip", "-n", bridge, "link", "set", "dev", name, "master", "bridge", "up");
    run("ip", "-n", space, "addr", "add", `${address}/16`, "dev", "eth0");
    run("ip", "-n", space, "link", "set", "lo", "up");
    run("ip", "-n", space, "link", "set", "eth0", "up");
  };
  try {
    for (const [index, name] of hosts.entries()) connect(name, `10.77.0.${index + 1}`);
    for (const [index, name] of callers.entries()) connect(name, `10.77.1.${index + 1}`);
  } catch (error) {
    stop();
    throw error;
  }

  const placeOf = (name: string): Place => {
    const found = places.get(name);
    if (found === undefined) throw new Error(`no such place: ${name}`);
    return found;
  };
  /** Of each host, judged where packets arrive. */
  let drops = new Map<string, readonly string[]>();
  let turns: readonly string[] = [];
  const fromHosts = "ip saddr 10.77.0.0/24 iif eth0";
  const enforce = (name: string): void => {
    const rules = `table inet faults
delete table inet faults
table inet faults {
  chain arrive { type filter hook input priority filter; ${(drops.get(name) ?? []).join("; ")}; }
  chain turn { type nat hook prerouting priority dstnat; ${turns.join("; ")}; }
}`;
    const { success, stderr } = Bun.spawnSync([...placeOf(name).behind, "nft", "-f", "-"], {
      stdin: Buffer.from(rules),
    });
    if (!success) throw new Error(`nft: ${stderr.toString()}\n${rules}`);
  };
  const enforceAll = (): void => hosts.forEach(enforce);
  const addDrop = (name: string, rule: string): void => {
    drops.set(name, [...(drops.get(name) ?? []), `${rule} counter drop`]);
  };

  return {
    place: placeOf,
    lose(percent) {
      for (const name of hosts) addDrop(name, `${fromHosts} numgen random mod 100 < ${percent}`);
      enforceAll();
    },
    cut(from, to) {
      const addresses = from.map((name) => placeOf(name).address).join(", ");
      for (const name of to) addDrop(name, `ip saddr { ${addresses} } iif eth0`);
      enforceAll();
    },
    slow(doors) {
      turns = Object.entries(doors).map(
        ([port, door]) => `${fromHosts} tcp dport ${port} redirect to :${door}`,
      );
      enforceAll();
    },
    heal() {
      drops = new Map();
      turns = [];
      enforceAll();
    },
    stop,
  };
}

function run(...command: readonly string[]): void {
  const { success, stderr } = Bun.spawnSync([...command]);
  if (!success) throw new Error(`${command.join(" ")}: ${stderr.toString()}`);
}

/** A test run that was killed has left its namespaces, and perhaps processes in them. */
function removeOrphans(): void {
  const listed = Bun.spawnSync(["ip", "netns", "list"]).stdout.toString();
  for (const [, space, pid] of listed.matchAll(new RegExp(`^(${prefix}(\\d+)-\\S+)`, "gm"))) {
    if (space === undefined || isAlive(Number(pid))) continue;
    const left = Bun.spawnSync(["ip", "netns", "pids", space]).stdout.toString();
    for (const each of left.split("\n").filter((line) => line !== "")) kill(Number(each));
    Bun.spawnSync(["ip", "netns", "del", space]);
  }
}

const isAlive = (pid: number): boolean => kill(pid, 0);

function kill(pid: number, signal: NodeJS.Signals | 0 = "SIGKILL"): boolean {
  try {
    return process.kill(pid, signal);
  } catch {
    return false;
  }
}
