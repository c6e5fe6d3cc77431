// Starts a process of this folder: it gets its task as an argument, talks in lines and ends when its stdin does.

import { join } from "node:path";
import { linesOf } from "../../playground/dev/decoded.ts";

export function startHelper(file: string, ask: unknown, behind: readonly string[] = []) {
  const child = Bun.spawn([...behind, process.execPath, join(import.meta.dir, file), JSON.stringify(ask)], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
    // Bun lets 256 requests be under way, and a fleet that stands still for seconds collects more.
    env: { ...process.env, BUN_CONFIG_MAX_HTTP_REQUESTS: "8192" },
  });
  const lines = linesOf(child.stdout);
  return {
    child,
    lines,
    /** The next line that it says. */
    async line(): Promise<string> {
      const next = await lines.next();
      if (next.done === true) throw new Error(`${file} has ended`);
      return next.value;
    },
  };
}
