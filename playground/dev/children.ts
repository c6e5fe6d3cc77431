// The processes that `bun run dev` starts: each says where it listens in one JSON line, and none outlives us.

import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { decoded } from "./decoded.ts";

export interface Child {
  readonly name: string;
  readonly pid: number;
  /** Its first line with `"msg":"ready"`. */
  readonly ready: Readonly<Record<string, unknown>>;
  /** Everything that it has said. */
  readonly logPath: string;
  /** SIGKILL and wait: a crash. */
  crash(): Promise<void>;
}

export interface Children {
  /** Resolves when the child is ready; throws its last words where it ends before, or says nothing for too long. */
  start(name: string, cmd: readonly string[], env?: Environment): Promise<Child>;
  /** A command, to its end. */
  run(cmd: readonly string[]): Promise<Ran>;
  /** Starts nothing from now on. SIGTERM to all, the latest first, and SIGKILL to whoever stays. */
  stop(): Promise<void>;
}

/** Ours, where none is given. */
type Environment = Readonly<Record<string, string | undefined>>;

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** llama.cpp takes a second or two on a small machine; more means that it hangs. */
const readyWithinMs = 30_000;
/** A router drains for at most 8 s. */
const stopWithinMs = 10_000;

export function createChildren(folder: string): Children {
  const alive = new Set<Bun.Subprocess>();
  let stopping = false;
  const keep = (child: Bun.Subprocess): void => {
    alive.add(child);
    void child.exited.then(() => alive.delete(child));
  };
  const refuseIfStopping = (): void => {
    if (stopping) throw new Error("everything is being ended");
  };

  return {
    async start(name, cmd, env = process.env) {
      refuseIfStopping();
      const logPath = join(folder, `${name}.log`);
      const log = openSync(logPath, "a");
      // Detached, because Ctrl-C would otherwise reach it too, and a router takes a second signal for impatience.
      const child = Bun.spawn({
        cmd: [...cmd],
        stdin: "ignore",
        stdout: "pipe",
        stderr: log,
        env,
        detached: true,
      });
      closeSync(log);
      keep(child);
      const ready = await Promise.race([
        readyLine(child.stdout, logPath),
        child.exited.then(() => undefined),
        Bun.sleep(readyWithinMs).then(() => undefined),
      ]);
      if (ready === undefined) {
        child.kill("SIGKILL");
        throw new Error(lastWords(readFileSync(logPath, "utf8")) ?? `${name} did not start`);
      }
      return {
        name,
        pid: child.pid,
        ready,
        logPath,
        async crash() {
          child.kill("SIGKILL");
          await child.exited;
        },
      };
    },
    async run(cmd) {
      refuseIfStopping();
      const child = Bun.spawn({ cmd: [...cmd], stdin: "ignore", stdout: "pipe", stderr: "pipe" });
      keep(child);
      const [stdout, stderr, code] = await Promise.all([
        new Response(child.stdout).text(),
        new Response(child.stderr).text(),
        child.exited,
      ]);
      return { code, stdout, stderr };
    },
    async stop() {
      stopping = true;
      const leaving = [...alive].reverse();
      for (const child of leaving) child.kill("SIGTERM");
      const gone = Promise.all(leaving.map((child) => child.exited));
      await Promise.race([gone, Bun.sleep(stopWithinMs)]);
      for (const child of leaving) child.kill("SIGKILL");
      await gone;
    },
  };
}

/** Reads lines into the log for as long as there are any, and resolves with the one that says ready. */
function readyLine(
  stdout: ReadableStream<Uint8Array>,
  logPath: string,
): Promise<Readonly<Record<string, unknown>> | undefined> {
  return new Promise((resolve) => {
    const log = Bun.file(logPath).writer();
    const read = async (): Promise<void> => {
      let rest = "";
      for await (const text of decoded(stdout)) {
        log.write(text);
        void log.flush();
        const lines = (rest + text).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          const said = parsed(line);
          if (said?.["msg"] === "ready") resolve(said);
        }
      }
      await log.end();
      resolve(undefined);
    };
    read().catch(() => resolve(undefined));
  });
}

function parsed(line: string): Readonly<Record<string, unknown>> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line);
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

/** The line that names the error, where there is one; else the last. */
function lastWords(text: string): string | undefined {
  const lines = text.split("\n").filter((line) => line.trim() !== "");
  return lines.find((line) => /error/i.test(line)) ?? lines.at(-1);
}
