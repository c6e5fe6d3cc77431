// The real world for commands: the process's own streams, environment, disk and clock.

import { readFileSync } from "node:fs";
import { systemClock } from "../base/clock.ts";
import type { Io } from "./command.ts";
import { processScreen } from "./screen.ts";

/** The last write on its way, by stream. A stream keeps its order, so what came before is through as well. */
const onTheirWay = new Map<NodeJS.WriteStream, Promise<void>>();

function write(stream: NodeJS.WriteStream, text: string): void {
  // The callback also comes when the reader has gone, so nobody waits for a closed pipe.
  onTheirWay.set(stream, new Promise((resolve) => void stream.write(text, () => resolve())));
}

export const terminal: Io = {
  out: (text) => write(process.stdout, text),
  err: (text) => write(process.stderr, text),
  // A terminal that does not know its size says 0.
  columns: () => (process.stdout.isTTY ? process.stdout.columns || undefined : undefined),
  // Only who asks for it touches stdin.
  get screen() {
    return processScreen();
  },
  env: process.env,
  readFile: (path) => readFileSync(path, "utf8"),
  clock: systemClock,
};

/** Resolves when everything is written; a pipe takes its time, and leaving earlier would cut the output. */
export async function flushTerminal(): Promise<void> {
  await Promise.all(onTheirWay.values());
}
