// What a second call beside a slow one gives, and what it costs: streams at a steady rate through two routers, one with
// hedges and one without, each with two engines of its own. One engine is slow with every tenth first token; then none
// is; then one is, and most slots are taken.
//
//   bun run bench:hedge [--quick] [--rounds N]

import { parseArgs } from "node:util";
import type { MeasureId } from "./budgets.ts";
import { conclude } from "./rig/conclude.ts";
import { describeMachine, stayOnOtherCore } from "./rig/machine.ts";
import type { SimulatedEngines } from "./rig/simulated-engines.ts";
import { startSimulatedEngines } from "./rig/simulated-engines.ts";
import { percentile } from "./rig/statistics.ts";
import type { Target } from "./rig/targets.ts";
import { builtBinary, startTarget } from "./rig/targets.ts";

const { values: flags } = parseArgs({
  options: { quick: { type: "boolean", default: false }, rounds: { type: "string" } },
});

const rounds = Number(flags.rounds ?? (flags.quick ? 1 : 3));
const perSecond = 100;
const seconds = flags.quick ? 4 : 8;
/** Until the routers know what is usual. */
const learnSeconds = 3;
const slow = { kind: "slow-first-byte", delayMs: 600, probability: 0.1 } as const;
/** Of 128 slots. */
const held = 110;
const model = "simulated";

const machine = describeMachine();
stayOnOtherCore();

interface Side {
  readonly engines: SimulatedEngines;
  readonly target: Target;
}

interface Figures {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly hedgedPercent: number;
}

const measured: Partial<Record<MeasureId, number[]>> = {};
const note = (measure: MeasureId, value: number): void => {
  measured[measure] = [...(measured[measure] ?? []), value];
};

for (let round = 0; round < rounds; round += 1) {
  const sides = { on: await side(true), off: await side(false) };
  try {
    for (const { engines } of Object.values(sides)) await engines.suffer(0, slow);
    await both(sides, learnSeconds);
    const tail = await both(sides, seconds);
    note("hedge-tail-p50", tail.on.p50Ms);
    note("hedge-tail-p99", tail.on.p99Ms);
    note("hedge-tail-off-p50", tail.off.p50Ms);
    note("hedge-tail-off-p99", tail.off.p99Ms);
    note("hedge-tail-share", tail.on.hedgedPercent);

    const letGo = Object.values(sides).map(({ target }) => hold(target.port));
    await Bun.sleep(500);
    const full = await both(sides, seconds);
    for (const go of letGo) go();
    note("hedge-full-p99", full.on.p99Ms);
    note("hedge-full-off-p99", full.off.p99Ms);
    note("hedge-full-share", full.on.hedgedPercent);
  } finally {
    for (const { target, engines } of Object.values(sides)) {
      await target.stop();
      await engines.stop();
    }
  }
  const even = { on: await side(true), off: await side(false) };
  try {
    await both(even, learnSeconds);
    const { on, off } = await both(even, seconds);
    note("hedge-even-p50", on.p50Ms);
    note("hedge-even-p99", on.p99Ms);
    note("hedge-even-off-p50", off.p50Ms);
    note("hedge-even-off-p99", off.p99Ms);
    note("hedge-even-share", on.hedgedPercent);
  } finally {
    for (const { target, engines } of Object.values(even)) {
      await target.stop();
      await engines.stop();
    }
  }
  console.log(`round ${round + 1} done`);
}

const code = conclude(
  {
    kind: "hedge",
    date: new Date().toISOString(),
    command: "bun run bench:hedge",
    machine,
    extent: `Rounds: ${rounds}, of ${perSecond} streams a second for ${seconds} s through each of two routers at the same time, two engines each, a token in 9 ms. Slow is ${slow.delayMs} ms for ${slow.probability * 100} % of the first tokens of one engine; most slots are ${held} of 128.`,
    samples: { tierline: measured },
  },
  flags.quick,
);
process.exit(code);

async function side(hedges: boolean): Promise<Side> {
  const engines = await startSimulatedEngines(model);
  const command = ["env", `TIERLINE_TIER_SILVER_HEDGE=${hedges}`, builtBinary];
  return { engines, target: await startTarget("tierline", { engines: engines.ports, model, command }) };
}

/** At the same time, so that whatever else the machine does hits both. */
async function both({ on, off }: Record<"on" | "off", Side>, forSeconds: number) {
  const [withHedges, without] = await Promise.all([
    steady(on.target.port, forSeconds),
    steady(off.target.port, forSeconds),
  ]);
  return { on: withHedges, off: without };
}

async function steady(port: number, forSeconds: number): Promise<Figures> {
  const firstBytesMs: number[] = [];
  const before = await hedgesOf(port);
  const began = performance.now();
  const failed: string[] = [];
  const one = async (): Promise<void> => {
    const askedAt = performance.now();
    const response = await ask(port, { stream: true, max_tokens: 4 });
    // A router holds the head back until the first event is there.
    const firstByteMs = performance.now() - askedAt;
    const text = await response.text();
    if (response.status === 200) firstBytesMs.push(firstByteMs);
    else failed.push(text);
  };
  const asked: Promise<void>[] = [];
  for (let now = 0; now < forSeconds; now = (performance.now() - began) / 1000) {
    while (asked.length < now * perSecond) asked.push(one());
    await Bun.sleep(1);
  }
  await Promise.all(asked);
  if (failed.length > asked.length / 100)
    throw new Error(
      `${failed.length} of ${asked.length} failed, so this measures something else: ${failed[0]}`,
    );
  return {
    p50Ms: percentile(firstBytesMs, 0.5),
    p99Ms: percentile(firstBytesMs, 0.99),
    hedgedPercent: (100 * ((await hedgesOf(port)) - before)) / asked.length,
  };
}

/** Takes slots with answers that do not end before the returned function is called. */
function hold(port: number): () => void {
  const leaving = new AbortController();
  for (let call = 0; call < held; call += 1) {
    ask(port, { max_tokens: 8000, ignore_eos: true }, leaving.signal).catch(() => undefined);
  }
  return () => leaving.abort();
}

function ask(port: number, more: object, signal?: AbortSignal): Promise<Response> {
  return fetch(`http://127.0.0.1:${port}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ model, messages: [{ role: "user", content: "Who goes there?" }], ...more }),
    ...(signal === undefined ? {} : { signal }),
  });
}

async function hedgesOf(port: number): Promise<number> {
  const page = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return page
    .split("\n")
    .filter((line) => line.startsWith("tierline_hedges_total{"))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}
