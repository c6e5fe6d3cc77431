// Two thousand callers who do not read what they asked for, a router and engines that send without end, in a network
// whose buffers are small: run inside a namespace by test/e2e/slow-readers.test.ts, tells what it saw as one line of JSON.

import { percentile } from "../../bench/rig/statistics.ts";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";
import { askOn } from "./ask-on.ts";
import { until } from "./chat.ts";
import { startEndlessEngine } from "./endless-engine.ts";
import type { RawCaller } from "./raw-callers.ts";
import { callRaw, chatRequest } from "./raw-callers.ts";
import { engineToml, startTierline } from "./tierline.ts";

export interface SlowReaders {
  readonly readers: number;
  /** Of the router, resident. */
  readonly bytesBefore: number;
  readonly bytesStalled: number;
  /** From the first large event until the last of the engines was free: until the buffers are full, and ten seconds. */
  readonly cutAfterMs: number;
  readonly cut: number;
  readonly enginesBusy: number;
  /** What the router holds in flight at the end. */
  readonly inflight: number;
  readonly timedOut: number;
  /** Of others, who ask a fast engine meanwhile, and before. */
  readonly p99BeforeMs: number;
  readonly p99MeanwhileMs: number;
  readonly failed: number;
}

const readers = Number(process.argv[2] ?? 2000);
const kind = process.argv[3] === "whole" ? "whole" : "stream";
/** More slots than readers: none waits for another. */
const perEngine = 600;

const fast = await startSimulatedEngine({ model: "fast", msPerToken: 1 });
const engines = Array.from({ length: Math.ceil(readers / perEngine) }, () =>
  startEndlessEngine("endless", kind),
);
const config =
  engineToml("silver", fast.url, 'name = "fast"') +
  engines
    .map(({ url }, at) => engineToml("gold", url, `name = "endless-${at}"\nmax_concurrent = ${perEngine}`))
    .join("") +
  "[sla.realtime]\ntotal_ms = 120000\nfirst_byte_ms = 60000\n";
const router = await startTierline({ config });

const resident = (): Promise<number> => router.metric("process_resident_memory_bytes");

const end = performance.now() + 2000;
const before = await askOn(router.url, () => performance.now() < end);
const bytesBefore = await resident();
const request = chatRequest({
  model: "gold",
  stream: kind === "stream",
  messages: [{ role: "user", content: "All of it." }],
});
const callers: RawCaller[] = [];
while (callers.length < readers) {
  const some = Array.from({ length: Math.min(100, readers - callers.length) }, () =>
    callRaw(router.url, request, false),
  );
  callers.push(...(await Promise.all(some)));
}
const busy = (): number => engines.reduce((sum, engine) => sum + engine.streams(), 0);
await until("all are being answered", () => busy() >= readers, 20_000);
for (const engine of engines) engine.go();
const wentAt = performance.now();
const samples: number[] = [];
let cutAt = 0;
const meanwhile = await Promise.all([
  askOn(router.url, () => {
    if (cutAt === 0 && busy() === 0) cutAt = performance.now();
    return cutAt === 0 && performance.now() - wentAt < 40_000;
  }),
  (async () => {
    while (busy() >= readers) {
      samples.push(await resident());
      await Bun.sleep(250);
    }
  })(),
]).then(([asked]) => asked);
// The buffers are full by then; one look alone may catch what others have left to be collected.
const bytesStalled = percentile(samples.slice(samples.length / 2), 0.5);
const told: SlowReaders = {
  readers,
  bytesBefore,
  bytesStalled,
  cutAfterMs: cutAt - wentAt,
  enginesBusy: busy(),
  cut: callers.filter(({ closed }) => closed).length,
  inflight: await router.metric("tierline_inflight"),
  timedOut: await router.metric("tierline_requests_total", { outcome: "request_timeout" }),
  p99BeforeMs: before.p99Ms,
  p99MeanwhileMs: meanwhile.p99Ms,
  failed: before.failed + meanwhile.failed,
};
console.log(JSON.stringify(told));
await router.stop();
process.exit(0);
