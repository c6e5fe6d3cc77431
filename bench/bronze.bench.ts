// What players feel when Bronze is in trouble: chats through a router whose async lane suffers, beside a router that has
// none. The one that is not measured is stopped meanwhile, for both have the same core to themselves.
//
//   bun run bench:bronze [--quick] [--rounds N] [--command "bun src/main.ts"]

import { join } from "node:path";
import { parseArgs } from "node:util";
import { linesOf } from "../playground/dev/decoded.ts";
import { conclude } from "./rig/conclude.ts";
import { load } from "./rig/load.ts";
import { describeMachine, otherCore, pinned, stayOnOtherCore } from "./rig/machine.ts";
import { startMockEngines } from "./rig/mock-engines.ts";
import { chat } from "./rig/requests.ts";
import { percentile } from "./rig/statistics.ts";
import type { Target } from "./rig/targets.ts";
import { startTarget } from "./rig/targets.ts";
import type { Samples } from "./rig/verdict.ts";
import { recorder } from "./rig/verdict.ts";

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    command: { type: "string" },
  },
});

const rounds = Number(flags.rounds ?? (flags.quick ? 1 : 3));
const sliceMs = flags.quick ? 800 : 1_500;
const turns = 2;
/** After a trouble begins, and after a router is woken. */
const settleMs = 300;
const waiting = flags.quick ? 50 : 500;
const jobsPerSecond = 10;

/** What is done to the stand-in for AWS, in the words of its control listener. */
const troubles = {
  well: [],
  throttled: [
    { kind: "throttle", on: "invoke" },
    { kind: "throttle", on: "get" },
  ],
  failing: [
    { kind: "status", status: 500, on: "invoke" },
    { kind: "status", status: 500, on: "get" },
  ],
  hanging: [
    { kind: "hang", on: "invoke" },
    { kind: "hang", on: "get" },
  ],
  resetting: [
    { kind: "accept-then-reset", on: "invoke" },
    { kind: "reset", on: "get" },
  ],
  torn: [{ kind: "truncate", on: "get" }],
  "no-keys": [{ kind: "status", status: 403, code: "ExpiredToken", on: "invoke" }],
  gone: [],
} as const;

type TroubleName = keyof typeof troubles;

const machine = describeMachine();
stayOnOtherCore();
const samples: Samples = {};
const note = recorder(samples);
const request = chat(1_000);

const engines = await startMockEngines();
const aws = await startAws();
const around = {
  engines: engines.ports,
  ...(flags.command === undefined ? {} : { command: flags.command.split(" ") }),
};
const without = await startTarget("tierline", around);
const withBronze = await startTarget("tierline", {
  ...around,
  env: { ...aws.env, AWS_EC2_METADATA_DISABLED: "false" },
  config: `[tier.bronze]
runner = "sagemaker"
endpoint = "story-bronze"
region = "us-east-1"
output = "s3://bucket/results"
models = ["story-70b"]
`,
});
try {
  // What is compiled for it happens once.
  for (const target of [without, withBronze]) await slice(target);
  for (let round = 0; round < rounds; round += 1) {
    const alone: number[] = [];
    for (const trouble of Object.keys(troubles) as TroubleName[]) {
      const { reference, ours } = await beside(trouble);
      alone.push(reference);
      note("tierline", `bronze-${trouble}-p99`, ours / reference);
      console.log(`${trouble}: p99 ${ours.toFixed(3)} ms, without Bronze ${reference.toFixed(3)} ms`);
    }
    note("tierline", "bronze-none-p99", percentile(alone, 0.5));
  }
} finally {
  await Promise.all([without.stop(), withBronze.stop(), engines.stop()]);
  await aws.stop();
}

const code = conclude(
  {
    kind: "bronze",
    date: new Date().toISOString(),
    command: "bun run bench:bronze",
    machine,
    extent: `${rounds} rounds; in each and for each trouble ${turns} slices of ${sliceMs / 1_000} s with and without Bronze by turns, ${waiting} jobs waiting and ${jobsPerSecond} more a second. The router has one core, which the thread that speaks to AWS shares.`,
    samples,
  },
  flags.quick,
);
process.exit(code);

/** Slices with and without, by turns, so that a bad second of the machine befalls both. */
async function beside(trouble: TroubleName): Promise<{ reference: number; ours: number }> {
  await aws.suffer(trouble);
  await backlog(trouble === "well" ? 0 : waiting);
  const ours: number[] = [];
  const reference: number[] = [];
  for (let turn = 0; turn < turns; turn += 1) {
    ours.push(...(await slice(withBronze)));
    reference.push(...(await slice(without)));
  }
  await aws.heal(trouble);
  await noneLeft();
  return { ours: percentile(ours, 0.99), reference: percentile(reference, 0.99) };
}

/** The next trouble begins with its own jobs alone. */
async function noneLeft(): Promise<void> {
  const endMs = performance.now() + 120_000;
  for (;;) {
    const answer = await fetch(`http://127.0.0.1:${withBronze.port}/health`);
    const { jobs } = (await answer.json()) as { jobs: { queued: number; running: number } };
    if (jobs.queued + jobs.running === 0) return;
    if (performance.now() > endMs)
      throw new Error(`${JSON.stringify(jobs)} after two minutes without trouble`);
    await Bun.sleep(200);
  }
}

/** Latencies of chats through one of the two while the other is stopped. */
async function slice(target: Target): Promise<readonly number[]> {
  const other = target === without ? withBronze : without;
  process.kill(other.pid, "SIGSTOP");
  await Bun.sleep(settleMs);
  const stop = target === withBronze ? jobsArrive(target) : () => {};
  const { latenciesMs, failed } = await load(target.port, request, 1, sliceMs);
  stop();
  process.kill(other.pid, "SIGCONT");
  if (failed > 0) throw new Error(`${failed} chats failed`);
  return latenciesMs;
}

async function order(port: number): Promise<void> {
  const body = JSON.stringify({
    request: { messages: [{ role: "user", content: `A tale of ${Math.random()}` }] },
  });
  const answer = await fetch(`http://127.0.0.1:${port}/v1/jobs`, { method: "POST", body });
  await answer.arrayBuffer();
  if (answer.status !== 202) throw new Error(`a job was answered ${answer.status}`);
}

async function backlog(jobs: number): Promise<void> {
  for (let sent = 0; sent < jobs; sent += 1) await order(withBronze.port);
}

function jobsArrive({ port }: Target): () => void {
  const timer = setInterval(() => void order(port), 1_000 / jobsPerSecond);
  return () => clearInterval(timer);
}

/** On the other core, as a process of its own: what it costs is nobody's. */
async function startAws() {
  const script = join(import.meta.dir, "../playground/aws.ts");
  const start = (port: number) =>
    Bun.spawn(pinned(otherCore, [process.execPath, script, "--port", String(port), "--work-ms", "50"]), {
      stdout: "pipe",
      stderr: "inherit",
    });
  let child = start(0);
  interface Ready {
    readonly url: string;
    readonly control: string;
    readonly env: Readonly<Record<string, string>>;
  }
  const readyOf = async (): Promise<Ready> => {
    const line = await linesOf(child.stdout).next();
    if (line.value === undefined) throw new Error("the stand-in for AWS did not start");
    return JSON.parse(line.value) as Ready;
  };
  let ready = await readyOf();
  const { env, url } = ready;
  return {
    env,
    async suffer(trouble: TroubleName): Promise<void> {
      if (trouble === "gone") {
        child.kill();
        await child.exited;
        return;
      }
      const body = JSON.stringify({ faults: troubles[trouble] });
      await fetch(`${ready.control}/control`, { method: "POST", body });
    },
    async heal(trouble: TroubleName): Promise<void> {
      if (trouble !== "gone") {
        await fetch(`${ready.control}/control`, { method: "DELETE" });
        return;
      }
      child = start(Number(new URL(url).port));
      ready = await readyOf();
    },
    async stop(): Promise<void> {
      child.kill();
      await child.exited;
    },
  };
}
