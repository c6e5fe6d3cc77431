// Two of the playground's engines as processes, which can hang and heal.

import { resolve } from "node:path";
import type { Subprocess } from "bun";
import type { Fault } from "../../playground/simulated/faults.ts";
import { otherCore, pinned } from "./machine.ts";

export interface SimulatedEngines {
  readonly ports: readonly [number, number];
  hang(index: 0 | 1): Promise<void>;
  heal(index: 0 | 1): Promise<void>;
  suffer(index: 0 | 1, fault: Fault): Promise<void>;
  /** Milliseconds from `since` (Unix ms) until it got a request whose body holds `mark`; `limitMs` where none came by then. */
  nextRequest(index: 0 | 1, mark: string, since: number, limitMs: number): Promise<number>;
  stop(): Promise<void>;
}

interface Ready {
  readonly url: string;
  readonly control: string;
}

const script = resolve(import.meta.dir, "../../playground/simulated-engine.ts");
const lookEveryMs = 100;

export async function startSimulatedEngines(model: string): Promise<SimulatedEngines> {
  const engines = await Promise.all([start(model), start(model)]);
  const control = (index: 0 | 1, path: string, init?: RequestInit): Promise<Response> =>
    fetch(`${engines[index]?.ready.control}${path}`, init);
  const portOf = (index: 0 | 1): number => Number(new URL(engines[index]?.ready.url ?? "").port);
  return {
    ports: [portOf(0), portOf(1)],
    async hang(index) {
      await control(index, "/control", { method: "POST", body: JSON.stringify({ fault: { kind: "hang" } }) });
    },
    async suffer(index, fault) {
      await control(index, "/control", { method: "POST", body: JSON.stringify({ fault }) });
    },
    async heal(index) {
      await control(index, "/control", { method: "DELETE" });
    },
    async nextRequest(index, mark, since, limitMs) {
      while (Date.now() - since < limitMs) {
        await Bun.sleep(lookEveryMs);
        const answer: unknown = await (await control(index, "/control/requests")).json();
        const first = requestsIn(answer).find(({ at, body }) => at >= since && body.includes(mark));
        if (first !== undefined) return first.at - since;
      }
      return limitMs;
    },
    async stop() {
      for (const { child } of engines) child.kill();
      await Promise.all(engines.map(({ child }) => child.exited));
    },
  };
}

function requestsIn(answer: unknown): { at: number; body: string }[] {
  const { requests } = answer as { requests: { at: number; body: string }[] };
  return requests;
}

async function start(model: string): Promise<{ child: Subprocess; ready: Ready }> {
  const child = Bun.spawn(
    pinned(otherCore, [process.execPath, script, "--model", model, "--ms-per-token", "9"]),
    { stdout: "pipe" },
  );
  const reader = child.stdout.getReader();
  let text = "";
  while (!text.includes("\n")) {
    const { value, done } = await reader.read();
    if (done) throw new Error("a simulated engine ended before it was ready");
    text += Buffer.from(value).toString();
  }
  reader.releaseLock();
  return { child, ready: JSON.parse(text.slice(0, text.indexOf("\n"))) as Ready };
}
