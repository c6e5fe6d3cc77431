// The process's own terminal as a screen: raw keys, a page of its own, and both given back on every way out.

import { writeSync } from "node:fs";
import type { Screen } from "./command.ts";

/** The alternate page, so that what stood there before is there afterwards; and no cursor jumping about in it. */
const enter = "\u001b[?1049h\u001b[?25l\u001b[H";
const leave = "\u001b[?25h\u001b[?1049l";

const endings = ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"] as const;

/** Undefined where there is no terminal to write to, or none to read from. */
export function processScreen(): Screen | undefined {
  const { stdin, stdout } = process;
  if (!stdin.isTTY || !stdout.isTTY) return undefined;
  return {
    // A terminal that does not know its size says 0.
    size: () => ({ columns: stdout.columns || 80, rows: stdout.rows || 24 }),
    takeOver({ key, resized, ended }) {
      const onData = (data: Buffer): void => key(data.toString());
      let taken = true;
      // Written at once: at the process's exit nothing that is queued would still go out.
      const giveBack = (): void => {
        if (!taken) return;
        taken = false;
        stdin.off("data", onData).off("end", ended);
        stdout.off("resize", resized);
        for (const signal of endings) process.off(signal, ended);
        process.off("exit", giveBack);
        try {
          stdin.setRawMode(false);
          writeSync(stdout.fd, leave);
        } catch (error) {
          // The terminal may be gone, and nobody is left to see it.
          if (!(error instanceof Error && "code" in error)) throw error;
        }
        stdin.pause();
      };
      process.on("exit", giveBack);
      for (const signal of endings) process.on(signal, ended);
      stdin.setRawMode(true);
      stdin.on("data", onData).on("end", ended);
      stdout.on("resize", resized);
      writeSync(stdout.fd, enter);
      return giveBack;
    },
  };
}
