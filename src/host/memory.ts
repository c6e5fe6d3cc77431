// How much memory this process takes, and how much its control group lets it take (the unit's MemoryHigh and MemoryMax,
// a container's limit). Both layouts of /sys/fs/cgroup are read: one tree (v2), and a tree for memory alone (v1).

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createResidentBytes } from "../telemetry/resident-bytes.ts";
import { ifThere } from "./if-there.ts";

export interface Memory {
  /** Undefined: nobody has set one. */
  limitBytes(): number | undefined;
  /** What is resident, and what the kernel holds for its sockets, which slow readers fill. */
  usedBytes(): number;
  /** Has the garbage collected and given back: nobody is served while it does, for some hundredths of a second. */
  release(): void;
}

export function openMemory(proc = "/proc/self", root = "/sys/fs/cgroup"): Memory {
  const text = createReader();
  const group = groupOf(text(`${proc}/cgroup`) ?? "", root, text);
  const residentBytes = createResidentBytes();
  return {
    limitBytes() {
      const limits = (group?.limitFiles ?? []).flatMap((file) => bytesIn(text(file)) ?? []);
      return limits.length === 0 ? undefined : Math.min(...limits);
    },
    usedBytes: () => residentBytes() + (group?.socketBytes() ?? 0),
    release: () => Bun.gc(true),
  };
}

interface Group {
  readonly limitFiles: readonly string[];
  socketBytes(): number;
}

/** `lines`: of /proc/self/cgroup, `hierarchy:controllers:path`. */
function groupOf(lines: string, root: string, text: Reader): Group | undefined {
  const groups = lines.split("\n").map((line) => {
    const [, controllers = "", path = ""] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    return { controllers: controllers.split(","), path };
  });
  const own = groups.find(({ controllers }) => controllers.includes("memory"));
  if (own !== undefined) {
    const folder = folderOf(join(root, "memory"), own.path, "memory.limit_in_bytes");
    if (folder === undefined) return undefined;
    return {
      limitFiles: [join(folder, "memory.limit_in_bytes")],
      socketBytes: () => bytesIn(text(join(folder, "memory.kmem.tcp.usage_in_bytes"))) ?? 0,
    };
  }
  const shared = groups.find(({ controllers, path }) => controllers[0] === "" && path !== "");
  const folder = shared === undefined ? undefined : folderOf(root, shared.path, "memory.max");
  if (folder === undefined) return undefined;
  return {
    limitFiles: [join(folder, "memory.high"), join(folder, "memory.max")],
    socketBytes: () => bytesIn(/^sock (\d+)$/m.exec(text(join(folder, "memory.stat")) ?? "")?.[1]) ?? 0,
  };
}

/** In a container the path may be the machine's, of which only its own group is to be seen, as the root. */
const folderOf = (root: string, path: string, file: string): string | undefined =>
  [join(root, path), root].find((folder) => existsSync(join(folder, file)));

/** No machine has so much: version 1 says "no limit" by a number. */
const endlessBytes = 2 ** 60;

/** Undefined for `max`, and for what is no number. */
function bytesIn(written: string | undefined): number | undefined {
  const bytes = written === undefined || written.trim() === "" ? Number.NaN : Number(written);
  return Number.isFinite(bytes) && bytes < endlessBytes ? bytes : undefined;
}

type Reader = (file: string) => string | undefined;

/** Where there is no descriptor left to read a file with, it says what it said last. */
function createReader(): Reader {
  const last = new Map<string, string>();
  return (file) => {
    const read = ifThere(() => readFileSync(file, "utf8"), last.get(file));
    if (read !== undefined) last.set(file, read);
    return read;
  };
}
