// What a request pays for going through tierline, beside HAProxy and nginx doing the same in the same run.
// Needs haproxy, nginx and taskset, and a built binary.
//
//   bun run bench [--quick] [--rounds N] [--only tierline,haproxy] [--command "bun src/main.ts"]

import { parseArgs } from "node:util";
import type { MeasureId } from "./budgets.ts";
import { conclude } from "./rig/conclude.ts";
import { load } from "./rig/load.ts";
import { cpuSeconds, describeMachine, residentMB, stayOnOtherCore } from "./rig/machine.ts";
import type { MockEngines } from "./rig/mock-engines.ts";
import { startMockEngines } from "./rig/mock-engines.ts";
import { chat, streamedChat, unansweredChat } from "./rig/requests.ts";
import { percentile } from "./rig/statistics.ts";
import { askAndLeave, streams } from "./rig/streams.ts";
import type { Surroundings, Target, TargetName } from "./rig/targets.ts";
import { startTarget } from "./rig/targets.ts";
import { needTools } from "./rig/tools.ts";
import type { Contestant, Samples } from "./rig/verdict.ts";
import { recorder } from "./rig/verdict.ts";

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    only: { type: "string", default: "tierline,haproxy,nginx" },
    command: { type: "string" },
  },
});

const rounds = Number(flags.rounds ?? (flags.quick ? 3 : 5));
const roundMs = flags.quick ? 500 : 1_500;
const warmMs = flags.quick ? 1_500 : 4_000;
const departures = flags.quick ? 20 : 100;
const starts = flags.quick ? 2 : 5;
const concurrency = 32;
const streamTurns = 2;
const streamChunks = 100;
const idleMs = 2_000;
const million = 1_000_000;
/** More rounds than this with failures in them, and there is no result. */
const disturbedMost = 2;

const machine = describeMachine();
stayOnOtherCore();

const engines = await startMockEngines();
const around: Surroundings = {
  engines: engines.ports,
  ...(flags.command === undefined ? {} : { command: flags.command.split(" ") }),
};
const samples: Samples = {};
const record = recorder(samples);
const names = (["tierline", "haproxy", "nginx"] as const).filter((name) =>
  flags.only.split(",").includes(name),
);
needTools("taskset", ...names.filter((name) => name !== "tierline"));

const targets: Target[] = [];
for (const name of names) targets.push(await startMeasured(name));
for (const { port } of targets) await warm(port);

const disturbed: string[] = [];
for (let round = 0; round < rounds; ) {
  const order: (Target | undefined)[] = [undefined, ...targets];
  // Whoever comes first in a round may find caches cold: everybody in turn.
  for (let turn = 0; turn < round % order.length; turn += 1) order.push(order.shift());
  const trouble = await measureRound(order);
  if (trouble === undefined) round += 1;
  // Figures with failures in them measure something else.
  else if (disturbed.push(trouble) > disturbedMost) throw new Error(disturbed.join("; "));
  console.log(trouble === undefined ? `round ${round} of ${rounds}` : `again, because ${trouble}`);
}

const tierline = targets.find(({ name }) => name === "tierline");
if (!flags.quick && tierline !== undefined) await soak(tierline);
for (const target of targets) await target.stop();
await engines.stop();

const code = conclude(
  {
    kind: "proxy",
    date: new Date().toISOString(),
    command: "bun run bench",
    machine,
    extent: `${rounds} rounds of ${roundMs / 1_000} s a figure; rounds repeated because something failed: ${disturbed.join("; ") || "none"}.`,
    samples,
  },
  flags.quick,
);
process.exit(code);

/** Starts it several times; the last one stays. */
async function startMeasured(name: TargetName): Promise<Target> {
  for (let start = 1; start < starts; start += 1) {
    const target = await startTarget(name, around);
    record(name, "start", target.startMs);
    await target.stop();
  }
  const target = await startTarget(name, around);
  record(name, "start", target.startMs);
  await Bun.sleep(idleMs);
  record(name, "rss-idle", residentMB(target.pid));
  return target;
}

async function warm(port: number): Promise<void> {
  await load(port, chat(1_000), concurrency, warmMs);
  await load(port, chat(64_000), concurrency, roundMs);
  await streams(port, concurrency, 1, streamChunks);
}

/** Keeps the figures of a whole round, or answers what went wrong in it. */
async function measureRound(order: readonly (Target | undefined)[]): Promise<string | undefined> {
  const found: [Contestant, Figures][] = [];
  for (const target of order) {
    const name = target?.name ?? "direct";
    const { figures, failed } = await measureOnce(target, engines);
    if (failed > 0) return `${failed} requests failed through ${name}`;
    found.push([name, figures]);
  }
  for (const [name, figures] of found) {
    for (const [measure, value] of figures) record(name, measure, value);
  }
  return undefined;
}

type Figures = readonly (readonly [measure: MeasureId, value: number])[];

/** Without a target: straight to the engine, which has no CPU figures. */
async function measureOnce(
  target: Target | undefined,
  mock: MockEngines,
): Promise<{ figures: Figures; failed: number }> {
  const port = target?.port ?? mock.ports[0];
  const cpu = (): number => (target === undefined ? Number.NaN : cpuSeconds(target.pid));
  const figures: [MeasureId, number][] = [];
  let failures = 0;

  for (const [size, bytes] of [
    ["1k", 1_000],
    ["8k", 8_000],
    ["64k", 64_000],
  ] as const) {
    const before = cpu();
    const { done, failed, seconds } = await load(port, chat(bytes), concurrency, roundMs);
    const used = cpu() - before;
    failures += failed;
    figures.push([`chat-${size}-rate`, done / seconds], [`chat-${size}-cpu`, (used * 1_000) / done]);
    // Well below 1, it was the driver that was measured.
    if (size === "1k") figures.push(["chat-1k-busy", used / seconds]);
  }

  const alone = await load(port, chat(1_000), 1, roundMs);
  figures.push(["latency-p50", percentile(alone.latenciesMs, 0.5)]);
  figures.push(["latency-p99", percentile(alone.latenciesMs, 0.99)]);

  const before = cpu();
  const streamed = await streams(port, concurrency, streamTurns, streamChunks);
  figures.push(["ttft-p50", percentile(streamed.firstTokenMs, 0.5)]);
  figures.push(["ttft-p99", percentile(streamed.firstTokenMs, 0.99)]);
  figures.push(["chunk-cpu", ((cpu() - before) * 1e6) / streamed.chunks]);

  const midStream: number[] = [];
  const beforeFirstByte: number[] = [];
  for (let departure = 0; departure < departures; departure += 1) {
    let gone = mock.nextGone();
    let left = await askAndLeave(port, streamedChat(1_000), "first-token");
    midStream.push((await gone) - left);
    gone = mock.nextGone();
    left = await askAndLeave(port, unansweredChat(), mock.nextHeld());
    beforeFirstByte.push((await gone) - left);
  }
  figures.push(["gone-mid-p99", percentile(midStream, 0.99)]);
  figures.push(["gone-before-p99", percentile(beforeFirstByte, 0.99)]);
  const known = figures.filter(([, value]) => !Number.isNaN(value));
  return { figures: known, failed: failures + alone.failed + streamed.failed };
}

async function soak(target: Target): Promise<void> {
  let done = 0;
  while (done < million) done += (await load(target.port, chat(1_000), concurrency, 5_000)).done;
  await Bun.sleep(idleMs);
  record(target.name, "rss-million", residentMB(target.pid));
}
