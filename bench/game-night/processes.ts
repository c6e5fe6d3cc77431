// The processes of a town: each writes to a file of its own, and none outlives the bench.

import { existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Subprocess } from "bun";

export interface Process {
  /** SIGKILL, and wait. */
  kill(): Promise<void>;
  /** Another signal, and wait until it has ended; SIGKILL where it has not in time. */
  end(signal: NodeJS.Signals): Promise<void>;
}

export interface Processes {
  /** Resolves when it has said `sign`; without one, when it has not ended at once. Throws its last words where it ends before. */
  start(name: string, command: readonly string[], sign?: string): Promise<Process>;
  /** A command to its end; what it said where it failed. */
  run(command: readonly string[]): Promise<string | undefined>;
  stop(): Promise<void>;
}

const readyWithinMs = 20_000;
/** Who says nothing has started when it has not ended by then. */
const silentStartMs = 100;
const endWithinMs = 15_000;

export function createProcesses(folder: string, env: Readonly<Record<string, string>>): Processes {
  mkdirSync(folder, { recursive: true });
  const alive = new Set<Subprocess>();
  const killAll = (): void => {
    for (const child of alive) child.kill("SIGKILL");
  };
  process.on("exit", killAll);
  let lives = 0;

  return {
    async start(name, command, sign) {
      lives += 1;
      const path = join(folder, `${name}.${lives}.log`);
      const log = openSync(path, "w");
      const child = Bun.spawn([...command], { stdin: "ignore", stdout: log, stderr: log, env });
      alive.add(child);
      void child.exited.then(() => alive.delete(child));
      const said = (): string => (existsSync(path) ? readFileSync(path, "utf8") : "");
      const fromMs = performance.now();
      const isReady = (): boolean =>
        sign === undefined ? performance.now() - fromMs > silentStartMs : said().includes(sign);
      while (child.exitCode !== null || !isReady()) {
        if (child.exitCode !== null || performance.now() - fromMs > readyWithinMs) {
          child.kill("SIGKILL");
          throw new Error(`${name} did not start: ${said().trim().split("\n").slice(-5).join("\n")}`);
        }
        await Bun.sleep(10);
      }
      return {
        async kill() {
          child.kill("SIGKILL");
          await child.exited;
        },
        async end(signal) {
          child.kill(signal);
          const tooLong = setTimeout(() => child.kill("SIGKILL"), endWithinMs);
          await child.exited;
          clearTimeout(tooLong);
        },
      };
    },
    async run(command) {
      const child = Bun.spawn([...command], { stdin: "ignore", stdout: "pipe", stderr: "pipe", env });
      alive.add(child);
      const [out, err] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
      ]);
      alive.delete(child);
      return (await child.exited) === 0 ? undefined : `${out}${err}`.trim();
    },
    async stop() {
      process.off("exit", killAll);
      const leaving = [...alive];
      killAll();
      await Promise.all(leaving.map((child) => child.exited));
    },
  };
}
