// The log: pino JSON on stdout. No worker transports (they hang a compiled binary at exit).

import type { Logger } from "pino";
import pino from "pino";

export type Log = Logger;
export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

export interface LogOutput {
  readonly log: Log;
  /** Writes out what is still buffered; to be called before the process ends. */
  flush(): void;
}

/** Lines gather up to this size or this long, because a write for each is a system call for each. */
const gatherBytes = 4096;
const gatherMs = 200;

export function createLog(level: LogLevel, fd = 1): LogOutput {
  const destination = pino.destination({
    dest: fd,
    sync: false,
    minLength: gatherBytes,
    periodicFlush: gatherMs,
  });
  // A closed pipe must not end the router.
  destination.on("error", () => undefined);
  const log = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    destination,
  );
  return {
    log,
    flush() {
      try {
        destination.flushSync();
      } catch {
        // Nobody reads any more; there is nowhere left to say so.
      }
    },
  };
}
