// What being one of many costs a router: CPU, bytes, requests, connections and memory, beside the same router alone.
// Its peers are the real machines, and speak to it over HTTP on loopback (rig/gossip-peers.ts).
//
//   bun run bench:gossip [--quick] [--rounds N] [--peers 10,100,500] [--command "bun src/main.ts"]

import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { conclude } from "./rig/conclude.ts";
import { benchFleet, benchSecret, startGossipFleet } from "./rig/gossip-fleet.ts";
import { cpuSeconds, describeMachine, residentMB, stayOnOtherCore } from "./rig/machine.ts";
import { startMockEngines } from "./rig/mock-engines.ts";
import { startTarget } from "./rig/targets.ts";
import type { Samples } from "./rig/verdict.ts";
import { recorder } from "./rig/verdict.ts";

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    peers: { type: "string" },
    command: { type: "string" },
  },
});

const rounds = Number(flags.rounds ?? (flags.quick ? 2 : 5));
const roundMs = flags.quick ? 4_000 : 10_000;
/** Meeting its fleet, and its code being compiled for it, happen once and are not what gossip costs. */
const settleMs = flags.quick ? 3_000 : 45_000;
const joinLimitMs = 30_000;

const machine = describeMachine();
stayOnOtherCore();
const samples: Samples = {};
const note = recorder(samples);
const place = mkdtempSync(join(tmpdir(), "tierline-bench-gossip-"));
const secretFile = join(place, "gossip.key");
writeFileSync(secretFile, benchSecret, { mode: 0o600 });
let repeated = 0;

const engines = await startMockEngines();
const around = {
  engines: engines.ports,
  ...(flags.command === undefined ? {} : { command: flags.command.split(" ") }),
};
const alone = await startTarget("tierline", around);
try {
  for (const peers of [10, 100, 500] as const) {
    if (flags.peers === undefined || flags.peers.split(",").includes(String(peers))) await among(peers);
  }
} finally {
  await alone.stop();
  await engines.stop();
  rmSync(place, { recursive: true });
}

const code = conclude(
  {
    kind: "gossip",
    date: new Date().toISOString(),
    command: "bun run bench:gossip",
    machine,
    extent: `${rounds} rounds of ${roundMs / 1_000} s for each size of fleet; ${repeated} more were repeated because the peers ran late. CPU is what a router uses above another one beside it that has no peers. Bytes are HTTP's, heads included, without TCP's own. Hosts have one engine each, and say anew how loaded it is 4 times a second in a fleet of up to 32, else as often as \`fleet/advert.ts\` says.`,
    samples,
  },
  flags.quick,
);
process.exit(code);

async function among(peers: 10 | 100 | 500): Promise<void> {
  // Held until the router takes it: the peers take hundreds of whatever is free.
  const held = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  const gossipPort = held.port;
  const fleet = await startGossipFleet(peers, gossipPort);
  const seeds = JSON.stringify(fleet.addresses.slice(0, 3));
  const config = `[cluster]\nfleet = "${benchFleet}"\nseeds = ${seeds}\nsecret_file = "${secretFile}"\n`;
  held.stop(true);
  const router = await startTarget("tierline", { ...around, gossipPort, config });
  try {
    const joinedBy = performance.now() + joinLimitMs;
    while (fleet.counts().known < peers + 1) {
      if (performance.now() > joinedBy)
        throw new Error(`after ${joinLimitMs} ms the router knows ${fleet.counts().known} of ${peers + 1}`);
      await Bun.sleep(100);
    }
    await Bun.sleep(settleMs);
    for (let round = 0; round < rounds; ) {
      const figures = await measure(router.pid);
      if (figures.late > 0 && repeated < rounds) {
        repeated += 1;
        continue;
      }
      round += 1;
      note("tierline", `gossip-${peers}-cpu`, figures.cpuPercent);
      note("tierline", `gossip-${peers}-traffic`, figures.mbitIn + figures.mbitOut);
      note("tierline", `gossip-${peers}-in`, figures.mbitIn);
      note("tierline", `gossip-${peers}-out`, figures.mbitOut);
      note("tierline", `gossip-${peers}-requests`, figures.requestsIn + figures.requestsOut);
      note("tierline", `gossip-${peers}-connections`, figures.connections);
      note("tierline", `gossip-${peers}-memory`, figures.memoryMB);
      console.log(
        `${peers} peers: ${figures.cpuPercent.toFixed(2)} % of a core above ${figures.alonePercent.toFixed(2)}; ` +
          `Mbit/s ${figures.mbitIn.toFixed(2)} in, ${figures.mbitOut.toFixed(2)} out; ` +
          `requests/s ${figures.requestsIn.toFixed(1)} in, ${figures.requestsOut.toFixed(1)} out; ` +
          `${figures.connections} connections, ${figures.memoryMB.toFixed(0)} MB more; ` +
          `${fleet.counts().refused} messages refused`,
      );
    }
  } finally {
    await router.stop();
    await fleet.stop();
  }

  async function measure(pid: number) {
    const took = { ours: cpuSeconds(pid), alone: cpuSeconds(alone.pid) };
    const before = structuredClone(fleet.counts());
    const sinceMs = performance.now();
    await Bun.sleep(roundMs);
    const seconds = (performance.now() - sinceMs) / 1_000;
    const after = fleet.counts();
    const mbit = (way: "toRouter" | "fromRouter"): number =>
      ((after[way].bytes - before[way].bytes) * 8) / 1e6 / seconds;
    const perSecond = (way: "toRouter" | "fromRouter"): number =>
      (after[way].requests - before[way].requests) / seconds;
    const percent = (cpu: number): number => (100 * cpu) / seconds;
    const alonePercent = percent(cpuSeconds(alone.pid) - took.alone);
    return {
      alonePercent,
      cpuPercent: percent(cpuSeconds(pid) - took.ours) - alonePercent,
      mbitIn: mbit("toRouter"),
      mbitOut: mbit("fromRouter"),
      requestsIn: perSecond("toRouter"),
      requestsOut: perSecond("fromRouter"),
      connections: sockets(pid) - sockets(alone.pid),
      memoryMB: residentMB(pid) - residentMB(alone.pid),
      late: after.late - before.late,
    };
  }
}

/** Listeners among them, of which a router with peers has one more. */
function sockets(pid: number): number {
  let found = 0;
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    try {
      if (readlinkSync(`/proc/${pid}/fd/${fd}`).startsWith("socket:")) found += 1;
    } catch {
      // Closed since it was listed.
    }
  }
  return found;
}
