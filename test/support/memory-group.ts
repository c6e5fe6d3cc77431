// A control group of its own for a process, with a limit on its memory. Needs root, and either layout of /sys/fs/cgroup.

import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface MemoryGroup {
  /** What a command is put behind to run in it. */
  readonly behind: readonly string[];
  /** The most that was ever used in it. */
  peakBytes(): number;
  /** After everything in it has ended. */
  stop(): void;
}

const root = "/sys/fs/cgroup";

/** Below the group of this process; undefined where none can be made. */
function parent(): { readonly folder: string; readonly limit: string; readonly peak: string } | undefined {
  const lines = readFileSync("/proc/self/cgroup", "utf8").split("\n");
  const own = lines
    .map((line) => /^\d+:(?:.*,)?memory(?:,.*)?:(.*)$/.exec(line)?.[1])
    .find((path) => path !== undefined);
  if (own !== undefined) {
    const folder = [join(root, "memory", own), join(root, "memory")].find(existsSync);
    if (folder === undefined) return undefined;
    return { folder, limit: "memory.limit_in_bytes", peak: "memory.max_usage_in_bytes" };
  }
  const shares = (folder: string): boolean =>
    existsSync(join(folder, "cgroup.subtree_control")) &&
    readFileSync(join(folder, "cgroup.subtree_control"), "utf8").includes("memory");
  return shares(root) ? { folder: root, limit: "memory.max", peak: "memory.peak" } : undefined;
}

/** A clause, where it cannot be had here. */
export function whyNoMemoryGroup(): string | undefined {
  try {
    createMemoryGroup(2 ** 30).stop();
    return undefined;
  } catch (error) {
    return `nobody may make a control group with a limit on memory here (${String(error)})`;
  }
}

export function createMemoryGroup(limitBytes: number): MemoryGroup {
  const above = parent();
  if (above === undefined) throw new Error("there is no memory controller");
  const folder = join(above.folder, `tierline-test-${process.pid}-${Bun.nanoseconds()}`);
  mkdirSync(folder);
  try {
    writeFileSync(join(folder, above.limit), `${limitBytes}`);
  } catch (error) {
    rmdirSync(folder);
    throw error;
  }
  return {
    behind: ["sh", "-c", `echo $$ > ${join(folder, "cgroup.procs")} && exec "$@"`, "sh"],
    peakBytes: () => Number(readFileSync(join(folder, above.peak), "utf8")),
    stop: () => rmdirSync(folder),
  };
}
