// A terminal in memory: what a command writes is kept, files are a map, time is the system's unless it is given.

import type { Clock } from "../../src/base/clock.ts";
import { systemClock } from "../../src/base/clock.ts";
import type { Screen } from "../../src/cli/command.ts";
import { run } from "../../src/cli/run.ts";

interface World {
  readonly env?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
  /** Without it nobody looks, and lines may be of any width. */
  readonly columns?: number;
  readonly screen?: Screen;
  readonly clock?: Clock;
  /** Told what is written as it is written. */
  readonly onOut?: (text: string) => void;
}

export interface Ran {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `tierline ARGS…` in a world without a real disk or environment. */
export async function tierline(
  args: readonly string[],
  { env = {}, files = {}, columns, screen, onOut, clock = systemClock }: World = {},
): Promise<Ran> {
  let out = "";
  let err = "";
  const exit = await run(args, {
    out: (text) => {
      out += text;
      onOut?.(text);
    },
    err: (text) => {
      err += text;
    },
    columns: () => columns,
    screen,
    env,
    readFile: (path) => {
      const text = files[path];
      if (text === undefined) throw Object.assign(new Error(`no ${path}`), { code: "ENOENT" });
      return text;
    },
    clock,
  });
  return { exit, out, err };
}
