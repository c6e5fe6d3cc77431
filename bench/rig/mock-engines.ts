// The mock engine as a process on the driver's core, and what it tells.

import { join } from "node:path";
import { otherCore, pinned } from "./machine.ts";
import type { MockEngineMessage } from "./mock-engine.ts";

export interface MockEngines {
  readonly ports: readonly [number, number];
  /** When the next unfinished request loses its client, in Unix milliseconds with a fraction. */
  nextGone(): Promise<number>;
  /** When the next request arrives that will never be answered. */
  nextHeld(): Promise<number>;
  stop(): Promise<void>;
}

export async function startMockEngines(): Promise<MockEngines> {
  const ready = Promise.withResolvers<readonly [number, number]>();
  let gone = Promise.withResolvers<number>();
  let held = Promise.withResolvers<number>();
  const child = Bun.spawn(pinned(otherCore, [process.execPath, join(import.meta.dir, "mock-engine.ts")]), {
    stdout: "inherit",
    stderr: "inherit",
    ipc(message: MockEngineMessage) {
      if ("ready" in message) ready.resolve(message.ready);
      else if ("goneAtMs" in message) gone.resolve(message.goneAtMs);
      else held.resolve(message.heldAtMs);
    },
  });
  return {
    ports: await ready.promise,
    nextGone() {
      gone = Promise.withResolvers();
      return gone.promise;
    },
    nextHeld() {
      held = Promise.withResolvers();
      return held.promise;
    },
    async stop() {
      child.kill();
      await child.exited;
    },
  };
}
