// What a test started is ended when the test is over, the latest first.

import { afterEach } from "bun:test";

/** Call once at the top of a test file; hand every started thing to the returned function. */
export function cleanup(): <T extends { stop(): unknown }>(started: T) => T {
  let open: { stop(): unknown }[] = [];
  afterEach(async () => {
    const closing = open.reverse();
    open = [];
    const failures: unknown[] = [];
    for (const each of closing) {
      try {
        await each.stop();
      } catch (error) {
        // What stops badly must not keep the others running.
        failures.push(error);
      }
    }
    if (failures.length > 0) throw failures[0];
  });
  return (started) => {
    open.push(started);
    return started;
  };
}
