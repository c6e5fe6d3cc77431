// A terminal in memory: what a command writes is kept, files are a map, time is the system's.

import { systemClock } from "../../src/base/clock.ts";
import { run } from "../../src/cli/run.ts";

interface World {
  readonly env?: Readonly<Record<string, string>>;
  readonly files?: Readonly<Record<string, string>>;
}

export interface Ran {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `tierline ARGS…` in a world without a real disk or environment. */
export async function tierline(args: readonly string[], { env = {}, files = {} }: World = {}): Promise<Ran> {
  let out = "";
  let err = "";
  const exit = await run(args, {
    out: (text) => {
      out += text;
    },
    err: (text) => {
      err += text;
    },
    env,
    readFile: (path) => {
      const text = files[path];
      if (text === undefined) throw Object.assign(new Error(`no ${path}`), { code: "ENOENT" });
      return text;
    },
    clock: systemClock,
  });
  return { exit, out, err };
}
