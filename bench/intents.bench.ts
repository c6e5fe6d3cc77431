// What an intent costs that the table knows, in every way to ask for it, beside a bare Bun.serve that says back its
// JSON; how long a hit takes at half load, what an entry weighs, and what comes of an engine that hangs.
//
//   bun run bench:intents [--quick] [--rounds N] [--parts rates,hung] [--command "bun src/main.ts"]

import { parseArgs } from "node:util";
import { fetchArchetypes } from "../playground/npc/archetypes.ts";
import { conclude } from "./rig/conclude.ts";
import type { IntentWay } from "./rig/intent-ways.ts";
import { intentWays, postJson } from "./rig/intent-ways.ts";
import type { Flow, Waits, Way } from "./rig/lines.ts";
import { closedLoop, httpWay, openLoop } from "./rig/lines.ts";
import { lookUpNs } from "./rig/look-up.ts";
import { cpuSeconds, describeMachine, residentMB, stayOnOtherCore } from "./rig/machine.ts";
import { startMockEngines } from "./rig/mock-engines.ts";
import { guard, itemOf, npcConfig, scout } from "./rig/npcs.ts";
import { startSimulatedEngines } from "./rig/simulated-engines.ts";
import { percentile } from "./rig/statistics.ts";
import type { Surroundings, Target } from "./rig/targets.ts";
import { startTarget } from "./rig/targets.ts";
import type { Samples } from "./rig/verdict.ts";
import { recorder } from "./rig/verdict.ts";

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    parts: { type: "string", default: "look-up,rates,latency,memory,hung" },
    command: { type: "string" },
  },
});

const parts = flags.parts.split(",");
const rounds = Number(flags.rounds ?? (flags.quick ? 2 : 5));
const roundMs = flags.quick ? 400 : 1_000;
const warmMs = flags.quick ? 500 : 1_500;
const halfLoadMs = flags.quick ? 1_000 : 4_000;
const hungMs = flags.quick ? 2_000 : 5_000;
const hungPerSecond = 2_000;
const hungConnections = 256;
/** As the router has it where nobody configures it. */
const deadlineMs = 14;
const fills = flags.quick ? 1 : 3;
/** Bun gives memory back in steps that are seconds apart. */
const settledAfterMs = 10_000;
const lookEveryMs = 500;
/** Of a request that fills the table; four of them are under way. */
const fillItems = 1_024;
const hundredThousand = 100_000;
const model = "simulated";

const machine = describeMachine();
stayOnOtherCore();

const samples: Samples = {};
const record = recorder(samples);
const command = flags.command?.split(" ");
const around = (engines: readonly [number, number], config: string): Surroundings => ({
  engines,
  config,
  ...(command === undefined ? {} : { command }),
});

if (parts.includes("look-up")) for (const ns of lookUpNs(rounds)) record("tierline", "look-up", ns);
if (parts.includes("rates") || parts.includes("latency")) await measureHits();
if (parts.includes("memory")) for (let fill = 0; fill < fills; fill += 1) await measureMemory();
if (parts.includes("hung")) for (let round = 0; round < rounds; round += 1) await measureHung();

const code = conclude(
  {
    kind: "intents",
    date: new Date().toISOString(),
    command: "bun run bench:intents",
    machine,
    extent: `${rounds} rounds of ${roundMs / 1_000} s a figure; all of ${guard.situations.toLocaleString("en-US")} situations of four features known and fresh; HTTP on 32 connections, WebSocket on 8 with 8 frames under way on each. Rates are per second of CPU that the target used, so that a driver which cannot keep up, or a neighbour, takes little away. Half load ${halfLoadMs / 1_000} s, at a fixed rate. Hung: ${hungPerSecond.toLocaleString("en-US")} situations a second, each another, for ${hungMs / 1_000} s.`,
    samples,
  },
  flags.quick,
);
process.exit(code);

function recordWaits(of: "half-single" | "half-socket" | "hung", { latenciesMs, blindMs }: Waits): void {
  record("tierline", `${of}-p50`, percentile(latenciesMs, 0.5));
  record("tierline", `${of}-p99`, percentile(latenciesMs, 0.99));
  record("tierline", `${of}-max`, percentile(latenciesMs, 1));
  record("tierline", `${of}-blind`, blindMs);
}

interface Course {
  readonly row: IntentWay;
  readonly way: Way;
  readonly flows: Flow[];
}

async function measureHits(): Promise<void> {
  const engines = await startMockEngines();
  const tierline = await startTarget("tierline", around(engines.ports, npcConfig));
  const echo = await startTarget("echo", around(engines.ports, ""));
  await fill(tierline.port, guard, 0, guard.situations);
  const { epoch } = await fetchArchetypes(urlOf(tierline));
  const courses = intentWays.map((row): Course => ({ row, way: row.make(epoch), flows: [] }));
  const echoed = courses.filter(({ row }) => row.measure === row.asJson);
  for (const { way } of courses) await closedLoop(tierline.port, way, warmMs);
  for (const { way } of echoed) await closedLoop(echo.port, way, warmMs);

  const notFresh = await answersBut("fresh", tierline);
  for (let round = 0; round < rounds; round += 1) {
    // Whoever comes first in a round may find caches cold: both in turn.
    if (round % 2 === 0) await measureRates(tierline, courses);
    await measureRates(echo, echoed);
    if (round % 2 === 1) await measureRates(tierline, courses);
    console.log(`rates, round ${round + 1} of ${rounds}`);
  }
  for (let round = 0; parts.includes("latency") && round < rounds; round += 1) {
    for (const [measure, name] of [
      ["intents-single", "single"],
      ["intents-socket-64", "socket"],
    ] as const) {
      const course = courses.find(({ row }) => row.measure === measure);
      if (course === undefined) throw new Error(`no way is measured as ${measure}`);
      const most = percentile(
        course.flows.map(({ done, seconds }) => done / seconds),
        0.5,
      );
      recordWaits(`half-${name}`, await openLoop(tierline.port, course.way, most / 2, halfLoadMs));
    }
  }
  const missed = (await answersBut("fresh", tierline)) - notFresh;
  if (missed > 0) throw new Error(`${missed} answers were not from the table`);
  await tierline.stop();
  await echo.stop();
  await engines.stop();
}

async function measureRates(target: Target, courses: readonly Course[]): Promise<void> {
  let least = 1;
  for (const { row, way, flows } of courses) {
    const before = cpuSeconds(target.pid);
    const driverBefore = process.cpuUsage();
    const flow = await closedLoop(target.port, way, roundMs);
    const used = cpuSeconds(target.pid) - before;
    const { user, system } = process.cpuUsage(driverBefore);
    if (target.name === "tierline") flows.push(flow);
    record(target.name, row.measure, (flow.done * row.items) / used);
    const busy = used / flow.seconds;
    // Well below 1, it was the driver that was measured, or whoever else runs on these cores.
    if (busy < 0.95) {
      const driver = (user + system) / 1e6 / flow.seconds;
      console.log(
        `${target.name}, ${row.measure}: ${busy.toFixed(2)} of its core, the driver ${driver.toFixed(2)} of its own`,
      );
    }
    least = Math.min(least, busy);
  }
  record(target.name, "intents-busy", least);
}

async function measureMemory(): Promise<void> {
  const engines = await startMockEngines();
  const tierline = await startTarget("tierline", around(engines.ports, npcConfig));
  let known = await settledMB(tierline);
  record("tierline", "intents-rss-idle", known);
  for (const [measure, from] of [
    ["intents-rss-first", 0],
    ["intents-rss-next", hundredThousand],
  ] as const) {
    await fill(tierline.port, scout, from, from + hundredThousand);
    const now = await settledMB(tierline);
    record("tierline", measure, now - known);
    known = now;
  }
  console.log(`memory: ${known.toFixed(0)} MB with ${(2 * hundredThousand).toLocaleString("en-US")} entries`);
  await tierline.stop();
  await engines.stop();
}

/** When it has not fallen for a while: what 100,000 questions have used up goes back to the kernel seconds later. */
async function settledMB({ pid }: Target): Promise<number> {
  let leastMB = Number.POSITIVE_INFINITY;
  for (let quietMs = 0; quietMs < settledAfterMs; quietMs += lookEveryMs) {
    await Bun.sleep(lookEveryMs);
    const nowMB = residentMB(pid);
    if (nowMB < leastMB - 1) quietMs = 0;
    leastMB = Math.min(leastMB, nowMB);
  }
  return leastMB;
}

async function measureHung(): Promise<void> {
  const engines = await startSimulatedEngines(model);
  const tierline = await startTarget("tierline", { ...around(engines.ports, npcConfig), model });
  const asks = (from: number, forMs: number): Way => {
    const count = (hungPerSecond * forMs) / 1_000;
    const requests = Array.from({ length: count }, (_, index) =>
      postJson(itemOf(scout, from + index, index)),
    );
    return httpWay(requests, hungConnections);
  };
  // It has seen misses before, and an engine that answers them.
  await openLoop(tierline.port, asks(hundredThousand, warmMs), hungPerSecond, warmMs);
  await engines.hang(0);
  await engines.hang(1);
  const notDefault = await answersBut("default", tierline);
  const waits = await openLoop(tierline.port, asks(0, hungMs), hungPerSecond, hungMs);
  const known = (await answersBut("default", tierline)) - notDefault;
  if (known > 0) throw new Error(`${known} answers came from engines that hang`);
  recordWaits("hung", waits);
  const { latenciesMs } = waits;
  const waited = latenciesMs.filter((ms) => ms > deadlineMs / 2).length / latenciesMs.length;
  console.log(`hung: ${(waited * 100).toFixed(0)} % waited for the deadline, the others were told at once`);
  await tierline.stop();
  await engines.stop();
}

/** By real answers of the engines. */
async function fill(port: number, kind: typeof guard, from: number, to: number): Promise<void> {
  let next = from;
  const askAll = async (): Promise<void> => {
    while (next < to) {
      const first = next;
      next = Math.min(to, first + fillItems);
      const items = Array.from({ length: next - first }, (_, index) => ({
        ...itemOf(kind, first + index, index),
        deadline_ms: 10_000,
      }));
      const body = JSON.stringify({ items });
      for (let known = false; !known; ) {
        const response = await fetch(`http://127.0.0.1:${port}/v1/npc/intents`, { method: "POST", body });
        const text = await response.text();
        if (response.status !== 200) throw new Error(`the table was not filled: ${text.slice(0, 500)}`);
        known = !text.includes('"source":"default"');
      }
    }
  };
  await Promise.all(Array.from({ length: 4 }, askAll));
}

/** How many answers so far had another source, by the router's own count. */
async function answersBut(source: string, target: Target): Promise<number> {
  const text = await (await fetch(`${urlOf(target)}/metrics`)).text();
  const rows = text.matchAll(/^tierline_intents_total\{[^}]*source="(\w+)"\} (\d+)/gm);
  return rows.reduce((sum, [, of, count]) => (of === source ? sum : sum + Number(count)), 0);
}

function urlOf({ port }: Target): string {
  return `http://127.0.0.1:${port}`;
}
