// What the result cache gives where questions repeat, and what it costs where none does. Two routers side by side, one
// with DISABLE_RESULT_CACHE=1, asked in turn.
//
// A repeat is what a player has asked before and has had the answer of. So all of them are hits, none waits for
// another's question on its way, and where 70 % repeat a cache that costs nothing would be 1 / 0.3 = 3.33 times faster.
//
//   bun run bench:cache [--quick] [--rounds N]

import { parseArgs } from "node:util";
import { seededRandom } from "../src/base/random.ts";
import type { MeasureId } from "./budgets.ts";
import { conclude } from "./rig/conclude.ts";
import { load } from "./rig/load.ts";
import { cpuSeconds, describeMachine, stayOnOtherCore } from "./rig/machine.ts";
import { mockModel } from "./rig/mock-engine.ts";
import { startMockEngines } from "./rig/mock-engines.ts";
import { conversation, post } from "./rig/requests.ts";
import { startSimulatedEngines } from "./rig/simulated-engines.ts";
import { percentile } from "./rig/statistics.ts";
import type { Surroundings, Target } from "./rig/targets.ts";
import { builtBinary, startTarget } from "./rig/targets.ts";

const { values: flags } = parseArgs({
  options: { quick: { type: "boolean", default: false }, rounds: { type: "string" } },
});

const rounds = Number(flags.rounds ?? (flags.quick ? 3 : 9));
/** A round of dialogue takes ten seconds, and differs little from the next. */
const dialogueRounds = Math.min(rounds, 3);
const sliceMs = 200;
const slicesEach = flags.quick ? 6 : 14;
const warmMs = flags.quick ? 1_000 : 3_000;
const concurrency = 32;
const repeatShare = 0.7;
const questions = flags.quick ? 300 : 800;
const newQuestions = flags.quick ? 200 : 400;
/** Players talking at once; the questions are shared out evenly. */
const players = 4;
/** At 9 ms each: a line of dialogue from a small model. */
const tokens = 8;
const model = "simulated";

/** Where each request has its own number, as many digits as there are here. */
const numberSlot = 1_000_000_000;
const distinctTemplate = post({
  model: mockModel,
  max_tokens: 8,
  temperature: 0,
  seed: numberSlot,
  messages: conversation(1024),
});
const numberAt = distinctTemplate.indexOf(String(numberSlot));
let asked = 0;

const machine = describeMachine();
stayOnOtherCore();

interface Pair {
  readonly on: Target;
  readonly off: Target;
}

const measured: Partial<Record<MeasureId, number[]>> = {};
const note = (measure: MeasureId, value: number): void => {
  measured[measure] = [...(measured[measure] ?? []), value];
};

await withPair(
  async () => startSimulatedEngines(model),
  model,
  async (pair) => {
    for (let round = 0; round < dialogueRounds; round += 1) {
      const dialogues = dialoguesOf(round, questions, repeatShare);
      const [on, off] = await inTurn(round, pair, ({ port }) => meanLatencyMs(port, dialogues));
      note("cache-speed-up", off / on);
      console.log(`repeats, round ${round + 1}: ${on.toFixed(1)} ms with, ${off.toFixed(1)} ms without`);
      const fresh = dialoguesOf(round + rounds, newQuestions, 0);
      const [freshOn, freshOff] = await inTurn(round, pair, ({ port }) => meanLatencyMs(port, fresh));
      note("cache-miss-cost", (freshOn / freshOff - 1) * 100);
      console.log(`all new: ${freshOn.toFixed(2)} ms with, ${freshOff.toFixed(2)} ms without`);
    }
  },
);

await withPair(startMockEngines, mockModel, async (pair) => {
  for (const { port } of [pair.on, pair.off]) await load(port, distinctChat, concurrency, warmMs);
  for (let round = 0; round < rounds; round += 1) {
    const busy = await slices(pair, concurrency);
    const quiet = await slices(pair, 1);
    note("cache-miss-rate-cost", (1 - busy.on.perSecond / busy.off.perSecond) * 100);
    note("cache-miss-latency-cost", (quiet.on.p50Ms / quiet.off.p50Ms - 1) * 100);
    console.log(
      `misses, round ${round + 1}: ${busy.on.perSecond.toFixed(0)} req/s with, ${busy.off.perSecond.toFixed(0)} without; ` +
        `CPU ${busy.on.cpuMicros.toFixed(0)} µs with, ${busy.off.cpuMicros.toFixed(0)} without; ` +
        `p50 ${quiet.on.p50Ms.toFixed(3)} ms with, ${quiet.off.p50Ms.toFixed(3)} without`,
    );
  }
});

const code = conclude(
  {
    kind: "result-cache",
    date: new Date().toISOString(),
    command: "bun run bench:cache",
    machine,
    extent: `${rounds} rounds. Repeats: ${questions} questions of ${players} players, ${repeatShare * 100} % asked before by the same player and answered, ${tokens} tokens of 9 ms. Misses: no question twice, an engine that costs next to nothing, ${slicesEach} slices of ${sliceMs} ms each, in turn.`,
    samples: { tierline: measured },
  },
  flags.quick,
);
process.exit(code);

interface Engines {
  readonly ports: readonly [number, number];
  stop(): Promise<void>;
}

async function withPair(
  start: () => Promise<Engines>,
  served: string,
  measure: (pair: Pair) => Promise<void>,
): Promise<void> {
  const engines = await start();
  const around: Surroundings = { engines: engines.ports, model: served };
  const on = await startTarget("tierline", around);
  const off = await startTarget("tierline", {
    ...around,
    command: ["env", "DISABLE_RESULT_CACHE=1", builtBinary],
  });
  try {
    await measure({ on, off });
  } finally {
    await Promise.all([on.stop(), off.stop()]);
    await engines.stop();
  }
}

/** Whoever comes first in a round may find caches cold: both in turn. */
async function inTurn(
  round: number,
  { on, off }: Pair,
  measure: (target: Target) => Promise<number>,
): Promise<readonly [on: number, off: number]> {
  if (round % 2 === 0) return [await measure(on), await measure(off)];
  const second = await measure(off);
  return [await measure(on), second];
}

interface Figures {
  readonly perSecond: number;
  readonly cpuMicros: number;
  readonly p50Ms: number;
}

/** Short and in turn, so that whatever else the machine does hits both alike. Medians over the slices. */
async function slices(pair: Pair, at: number): Promise<{ readonly on: Figures; readonly off: Figures }> {
  const all: Record<keyof Pair, Figures[]> = { on: [], off: [] };
  for (let slice = 0; slice < slicesEach * 2; slice += 1) {
    // on, off, off, on: whoever comes second may find the machine warmer.
    const which = [0, 3].includes(slice % 4) ? "on" : "off";
    const { port, pid } = pair[which];
    const before = cpuSeconds(pid);
    const { done, failed, seconds, latenciesMs } = await load(port, distinctChat, at, sliceMs);
    if (failed > 0) throw new Error(`${failed} requests failed, so this measures something else`);
    const cpuMicros = ((cpuSeconds(pid) - before) / done) * 1e6;
    all[which].push({ perSecond: done / seconds, cpuMicros, p50Ms: percentile(latenciesMs, 0.5) });
  }
  const middle = (figures: readonly Figures[]): Figures => ({
    perSecond: percentile(
      figures.map(({ perSecond }) => perSecond),
      0.5,
    ),
    cpuMicros: percentile(
      figures.map(({ cpuMicros }) => cpuMicros),
      0.5,
    ),
    p50Ms: percentile(
      figures.map(({ p50Ms }) => p50Ms),
      0.5,
    ),
  });
  return { on: middle(all.on), off: middle(all.off) };
}

/** What each player says, in order. The share that repeats is exact; which of their own questions is drawn. */
function dialoguesOf(round: number, questions: number, repeatShare: number): string[][] {
  const random = seededRandom(round + 1);
  return Array.from({ length: players }, (_, player) => {
    const before: string[] = [];
    return Array.from({ length: questions / players }, (_, index) => {
      const isNew = index === 0 || Math.ceil(index * (1 - repeatShare)) > before.length;
      const again = before[Math.floor(random() * before.length)];
      if (!isNew && again !== undefined) return again;
      const content = `Round ${round}, player ${player}, guard ${index}: who goes there?`;
      const body = JSON.stringify({
        model,
        temperature: 0,
        max_tokens: tokens,
        messages: [{ role: "user", content }],
      });
      before.push(body);
      return body;
    });
  });
}

/** All players at once, each asking as soon as it is answered. */
async function meanLatencyMs(port: number, dialogues: readonly (readonly string[])[]): Promise<number> {
  const latenciesMs: number[] = [];
  const play = async (dialogue: readonly string[]): Promise<void> => {
    for (const body of dialogue) {
      const sinceMs = performance.now();
      const response = await fetch(`http://127.0.0.1:${port}/v1/chat/completions`, { method: "POST", body });
      await response.arrayBuffer();
      if (response.status !== 200) throw new Error(`answered ${response.status}`);
      latenciesMs.push(performance.now() - sinceMs);
    }
  };
  await Promise.all(dialogues.map(play));
  return latenciesMs.reduce((sum, ms) => sum + ms, 0) / latenciesMs.length;
}

/** A deterministic chat of 1 kB that nobody has asked before. */
function distinctChat(): Buffer {
  asked += 1;
  const bytes = Buffer.from(distinctTemplate);
  bytes.write(String(numberSlot + asked), numberAt, "latin1");
  return bytes;
}
