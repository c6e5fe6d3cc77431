// A simulated vLLM: its shapes, its timing, its queue, and on request its ways to fail. No model, no GPU.
// Import startSimulatedEngine, or run `bun playground/simulated-engine.ts --port 8000 --ms-per-token 9`.

import { parseArgs } from "node:util";
import { systemClock } from "../src/base/clock.ts";
import { seededRandom } from "../src/base/random.ts";
import { bend } from "./simulated/bend.ts";
import type { EngineStats } from "./simulated/control.ts";
import { startControl } from "./simulated/control.ts";
import type { Fault } from "./simulated/faults.ts";
import { createFaultPlan, freezes } from "./simulated/faults.ts";
import type { Exchange } from "./simulated/http-listener.ts";
import { listenHttp } from "./simulated/http-listener.ts";
import type { RecordedRequest } from "./simulated/journal.ts";
import { createJournal } from "./simulated/journal.ts";
import { createPrefixCache } from "./simulated/prefix-cache.ts";
import { answerRequest, streamHeaders } from "./simulated/routes.ts";
import { createScheduler } from "./simulated/scheduler.ts";

export interface SimulatedEngineOptions {
  /** 0 takes a free one. */
  readonly port: number;
  readonly controlPort: number;
  readonly hostname: string;
  readonly model: string;
  /** One decode step of a lone sequence: 9 plays Gold, 25 plays Silver, 0 answers at once. */
  readonly msPerToken: number;
  readonly msPerPromptToken: number;
  readonly fullBatchSlowdown: number;
  readonly maxNumSeqs: number;
  /** Running and waiting together, beyond which vLLM answers 503; 0 = unbounded, as vLLM's default. */
  readonly maxQueued: number;
  readonly maxModelLen: number;
  readonly kvBlocks: number;
  readonly prefixCache: boolean;
  /** `--scheduling-policy priority`: lower first. */
  readonly byPriority: boolean;
  /** Guards /v1/* when set. */
  readonly apiKey: string | undefined;
  /** uvicorn closes idle connections after 5000; 0 = never. */
  readonly keepAliveMs: number;
  /** vLLM sends the head of a stream at once; false waits for the first token. */
  readonly earlyHead: boolean;
  /** Requests kept for `requests()`. */
  readonly recorded: number;
  /** Of the dice behind `probability`. */
  readonly seed: number;
}

export interface SimulatedEngine {
  /** What a router is pointed at. */
  readonly url: string;
  /** Where faults are set and requests looked at; answers whatever the engine suffers. */
  readonly controlUrl: string;
  readonly port: number;
  /** The one that it serves now. */
  readonly model: string;
  /** Hot swap: from now on it knows this model and no other. What has begun ends as it began. */
  serve(model: string): void;
  /** Replaces whatever faults there are; none clears them. */
  fault(...faults: readonly Fault[]): void;
  clear(): void;
  stats(): EngineStats;
  /** The last requests, oldest first. */
  requests(): RecordedRequest[];
  stop(): Promise<void>;
}

const defaults: SimulatedEngineOptions = {
  port: 0,
  controlPort: 0,
  hostname: "127.0.0.1",
  model: "simulated",
  msPerToken: 9,
  msPerPromptToken: 0.02,
  fullBatchSlowdown: 0.5,
  maxNumSeqs: 64,
  maxQueued: 0,
  maxModelLen: 8192,
  kvBlocks: 8192,
  prefixCache: false,
  byPriority: true,
  apiKey: undefined,
  keepAliveMs: 0,
  earlyHead: true,
  recorded: 1000,
  seed: 1,
};

export async function startSimulatedEngine(
  given: Partial<SimulatedEngineOptions> = {},
): Promise<SimulatedEngine> {
  const options = { ...defaults, ...given };
  const scheduler = createScheduler({ ...options, maxRunning: options.maxNumSeqs }, systemClock);
  const faults = createFaultPlan(seededRandom(options.seed));
  const journal = createJournal(options.recorded);
  const prefixes = createPrefixCache(options.prefixCache ? options.kvBlocks : 0);
  /** Requests that a hang holds back. */
  let held = new Set<() => void>();
  let frozen = false;
  /** Of an engine that has died. */
  let restart: Timer | undefined;
  let { model } = options;

  const answer = (exchange: Exchange, unruly = false): void =>
    answerRequest(exchange, { options: { ...options, model }, scheduler, journal, prefixes, frozen, unruly });

  const hold = (exchange: Exchange): void => {
    const goOn = (): void => answer(exchange);
    held.add(goOn);
    exchange.onGone(() => held.delete(goOn));
  };

  const listener = listenHttp({
    port: options.port,
    hostname: options.hostname,
    keepAliveMs: options.keepAliveMs,
    onConnection: () => !faults.strikesConnection(),
    onRequest(plain) {
      const { method, path, turn, body } = plain.request;
      const fault = faults.strike(method, path, turn, body);
      const exchange = journal.follow(plain, fault?.kind);
      if (fault === undefined) answer(exchange);
      else if (fault.kind === "ignore-constraints") answer(exchange, true);
      else if (fault.kind === "die-of") {
        listener.refuse();
        clearTimeout(restart);
        if (fault.backAfterMs !== undefined) restart = setTimeout(listener.listen, fault.backAfterMs);
      } else if (fault.kind === "hang") {
        if (fault.afterHead === true) exchange.begin(200, streamHeaders);
        else hold(exchange);
      } else {
        const bent = bend(exchange, fault);
        if (bent !== undefined) answer(bent);
      }
    },
  });

  const setFaults = (...wanted: readonly Fault[]): void => {
    faults.set(wanted);
    clearTimeout(restart);
    frozen = wanted.some(freezes);
    if (frozen) scheduler.pause();
    else scheduler.resume();
    if (wanted.some((fault) => fault.kind === "refuse")) listener.refuse();
    else listener.listen();
    if (wanted.some((fault) => fault.kind === "hang")) return;
    const released = held;
    held = new Set();
    for (const goOn of released) goOn();
  };

  const engine: Omit<SimulatedEngine, "controlUrl"> = {
    url: `http://${options.hostname}:${listener.port}`,
    port: listener.port,
    get model() {
      return model;
    },
    serve(next) {
      model = next;
    },
    fault: setFaults,
    clear: () => setFaults(),
    stats: () => ({
      ...journal.stats(),
      ...scheduler.counts(),
      connections: listener.connections(),
      connectionsAccepted: listener.accepted(),
      faultsStruck: faults.struck(),
    }),
    requests: () => journal.requests(),
    async stop() {
      clearTimeout(restart);
      await control.stop();
      scheduler.stop();
      listener.refuse();
    },
  };
  const control = startControl(options.hostname, options.controlPort, { ...engine, faults: faults.current });
  return Object.assign(engine, { controlUrl: control.url });
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      host: { type: "string", default: defaults.hostname },
      port: { type: "string", default: "0" },
      "control-port": { type: "string", default: "0" },
      model: { type: "string", default: defaults.model },
      "ms-per-token": { type: "string", default: `${defaults.msPerToken}` },
      "ms-per-prompt-token": { type: "string", default: `${defaults.msPerPromptToken}` },
      "max-num-seqs": { type: "string", default: `${defaults.maxNumSeqs}` },
      "max-queued": { type: "string", default: `${defaults.maxQueued}` },
      "max-model-len": { type: "string", default: `${defaults.maxModelLen}` },
      "kv-blocks": { type: "string", default: `${defaults.kvBlocks}` },
      "keep-alive-ms": { type: "string", default: `${defaults.keepAliveMs}` },
      "prefix-cache": { type: "boolean", default: false },
      "api-key": { type: "string" },
    },
  });
  const engine = await startSimulatedEngine({
    hostname: values.host,
    port: Number(values.port),
    controlPort: Number(values["control-port"]),
    model: values.model,
    msPerToken: Number(values["ms-per-token"]),
    msPerPromptToken: Number(values["ms-per-prompt-token"]),
    maxNumSeqs: Number(values["max-num-seqs"]),
    maxQueued: Number(values["max-queued"]),
    maxModelLen: Number(values["max-model-len"]),
    kvBlocks: Number(values["kv-blocks"]),
    keepAliveMs: Number(values["keep-alive-ms"]),
    prefixCache: values["prefix-cache"],
    apiKey: values["api-key"],
  });
  console.log(
    JSON.stringify({ msg: "ready", url: engine.url, control: engine.controlUrl, model: engine.model }),
  );
  const leave = (): never => process.exit(0);
  process.on("SIGTERM", leave);
  process.on("SIGINT", leave);
}
