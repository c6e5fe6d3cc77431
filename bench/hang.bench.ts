// One of two engines hangs, as a hung vLLM does: it takes requests, says nothing, and passes its health check. How
// many clients, who wait a second and leave, go without an answer, and when is it used again once it has healed?
//
//   bun run bench:hang [--quick] [--rounds N] [--only tierline,haproxy,nginx] [--command "bun src/main.ts"]

import { parseArgs } from "node:util";
import { clientsWhoLeave } from "./rig/clients-who-leave.ts";
import { conclude } from "./rig/conclude.ts";
import { describeMachine, stayOnOtherCore } from "./rig/machine.ts";
import { post } from "./rig/requests.ts";
import { startSimulatedEngines } from "./rig/simulated-engines.ts";
import type { TargetName } from "./rig/targets.ts";
import { startTarget } from "./rig/targets.ts";
import { needTools } from "./rig/tools.ts";
import type { Samples } from "./rig/verdict.ts";

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    rounds: { type: "string" },
    only: { type: "string" },
    command: { type: "string" },
  },
});

const rounds = Number(flags.rounds ?? (flags.quick ? 1 : 3));
const perSecond = 200;
const patienceMs = 1_000;
const hangsAtMs = 5_000;
const healsAtMs = 12_000;
const endsAtMs = 20_000;
/** 9 ms a token: long enough that some requests are under way when the engine stops. */
const tokens = 4;
const model = "simulated";
const mark = "bench-hang";

const machine = describeMachine();
const only = flags.only ?? (flags.quick ? "tierline" : "tierline,haproxy,nginx");
const names = (["tierline", "haproxy", "nginx"] as const).filter((name) => only.split(",").includes(name));
needTools("taskset", ...names.filter((name) => name !== "tierline"));
stayOnOtherCore();

const samples: Samples = {};
for (let round = 0; round < rounds; round += 1) {
  for (const name of names) {
    const { failures, why, returnedMs } = await once(name);
    const known = samples[name];
    samples[name] = {
      "hang-failures": [...(known?.["hang-failures"] ?? []), failures],
      "hang-return": [...(known?.["hang-return"] ?? []), returnedMs / 1_000],
    };
    console.log(`${name}: ${failures} failures ${JSON.stringify(why)}, used again after ${returnedMs} ms`);
  }
}

const code = conclude(
  {
    kind: "hang",
    date: new Date().toISOString(),
    command: "bun run bench:hang",
    machine,
    extent: `${rounds} rounds: ${perSecond} requests a second for ${endsAtMs / 1_000} s, the engine hangs from second ${hangsAtMs / 1_000} to ${healsAtMs / 1_000}; clients leave after ${patienceMs / 1_000} s.`,
    samples,
  },
  flags.quick,
);
process.exit(code);

async function once(
  name: TargetName,
): Promise<{ failures: number; why: Record<string, number>; returnedMs: number }> {
  const engines = await startSimulatedEngines(model);
  const target = await startTarget(name, {
    engines: engines.ports,
    model,
    ...(flags.command === undefined ? {} : { command: flags.command.split(" ") }),
  });
  try {
    const request = post({
      model,
      user: mark,
      max_tokens: tokens,
      messages: [{ role: "user", content: "What do you see?" }],
    });
    const clients = clientsWhoLeave(target.port, request, { perSecond, patienceMs, durationMs: endsAtMs });
    await Bun.sleep(hangsAtMs);
    await engines.hang(0);
    await Bun.sleep(healsAtMs - hangsAtMs);
    await engines.heal(0);
    const healedAt = Date.now();
    const returned = engines.nextRequest(0, mark, healedAt, endsAtMs - healsAtMs);
    const visits = await clients;
    const affected = visits.filter(({ atMs }) => atMs >= hangsAtMs && atMs < healsAtMs);
    const failed = affected.filter(({ outcome }) => outcome !== "200");
    const why: Record<string, number> = {};
    for (const { outcome } of failed) why[outcome] = (why[outcome] ?? 0) + 1;
    return { failures: failed.length, why, returnedMs: await returned };
  } finally {
    await target.stop();
    await engines.stop();
  }
}
