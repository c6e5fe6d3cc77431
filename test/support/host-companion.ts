// Run as a process beside a router: the engines of its host; the Unix sockets by which a test outside the host's network
// reaches its ports; and, where the network is to be slow, doors that hold back every byte. Ends when its stdin does.

import type { Socket } from "node:net";
import { connect, createServer } from "node:net";
import { startSimulatedEngine } from "../../playground/simulated-engine.ts";

export interface EngineAsk {
  readonly model: string;
  readonly msPerToken: number;
  readonly port: number;
  readonly controlPort: number;
}

export interface CompanionAsk {
  readonly engines: readonly EngineAsk[];
  /** Socket path to `host:port`. */
  readonly sockets: Readonly<Record<string, string>>;
  /** Port to `host:port`. */
  readonly slowDoors: Readonly<Record<number, string>>;
}

/** A line on its stdin; what is under way keeps the delay that it has. */
export interface Slowness {
  readonly delayMs: number;
  readonly jitterMs: number;
}

export interface CompanionReady {
  readonly engines: readonly { readonly url: string; readonly controlUrl: string }[];
}

if (import.meta.main) await accompany(JSON.parse(process.argv[2] ?? ""));

async function accompany({ engines, sockets, slowDoors }: CompanionAsk): Promise<void> {
  let slowness: Slowness = { delayMs: 0, jitterMs: 0 };
  const now = (): Slowness => slowness;
  const started = await Promise.all(engines.map((engine) => startSimulatedEngine(engine)));
  for (const [path, target] of Object.entries(sockets)) await open(path, target);
  for (const [port, target] of Object.entries(slowDoors)) await open(Number(port), target, now);
  const ready: CompanionReady = { engines: started.map(({ url, controlUrl }) => ({ url, controlUrl })) };
  console.log(JSON.stringify(ready));
  for await (const line of console) if (line !== "") slowness = JSON.parse(line);
  process.exit(0);
}

/** Every connection to `door` is one to `target`. */
async function open(door: string | number, target: string, slowness?: () => Slowness): Promise<void> {
  const { hostname, port } = new URL(`tcp://${target}`);
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ host: hostname, port: Number(port), allowHalfOpen: true });
    near.setNoDelay(true);
    far.setNoDelay(true);
    pass(near, far, slowness);
    pass(far, near, slowness);
  });
  const listening = Promise.withResolvers<void>();
  server.once("error", listening.reject);
  if (typeof door === "string") server.listen(door, listening.resolve);
  else server.listen(door, "0.0.0.0", listening.resolve);
  await listening.promise;
}

/** Bytes, the end and a break, in their order. */
function pass(from: Socket, to: Socket, slowness: (() => Slowness) | undefined): void {
  const waiting: { readonly dueMs: number; readonly act: () => void }[] = [];
  let lastMs = 0;
  const release = (): void => {
    for (let [next] = waiting; next !== undefined; [next] = waiting) {
      const leftMs = next.dueMs - performance.now();
      if (leftMs > 0) {
        setTimeout(release, Math.ceil(leftMs));
        return;
      }
      waiting.shift();
      next.act();
    }
  };
  const later = (act: () => void): void => {
    const { delayMs, jitterMs } = slowness?.() ?? { delayMs: 0, jitterMs: 0 };
    lastMs = Math.max(lastMs, performance.now() + delayMs + Math.random() * jitterMs);
    waiting.push({ dueMs: lastMs, act });
    if (waiting.length === 1) release();
  };
  from.on("data", (bytes) => {
    later(() => {
      if (to.writable && !to.write(bytes) && !from.destroyed) {
        from.pause();
        to.once("drain", () => from.resume());
      }
    });
  });
  from.on("end", () => later(() => to.end()));
  from.on("error", () => later(() => to.destroy()));
  from.on("close", () => later(() => to.destroySoon()));
}
