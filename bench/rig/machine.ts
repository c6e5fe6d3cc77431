// What the kernel says of processes and of this machine, and what keeps a process on one core.

import { dlopen, FFIType } from "bun:ffi";
import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";

/** The measured program alone on one core; engines and the driver share the other. */
export const targetCore = 0;
export const otherCore = 1;

const pageKiB = 4;

const libc = dlopen("libc.so.6", {
  clock_gettime: { args: [FFIType.i32, FFIType.ptr], returns: FFIType.i32 },
}).symbols;
const timespec = new BigInt64Array(2);

/**
 * CPU time of a process and its children so far, all threads, user and system. From the kernel's CPU clock of
 * each, because /proc/PID/stat counts in steps of 10 ms.
 */
export function cpuSeconds(pid: number): number {
  let seconds = 0;
  for (const each of family(pid)) {
    // Linux, include/linux/posix-timers_types.h: the clock of all threads of a process, as the scheduler counts it.
    const clock = (~each << 3) | 2;
    if (libc.clock_gettime(clock, timespec) !== 0) throw new Error(`process ${each} has no CPU clock`);
    seconds += Number(timespec[0]) + Number(timespec[1]) / 1e9;
  }
  return seconds;
}

export function residentMB(pid: number): number {
  let pages = 0;
  for (const each of family(pid)) pages += statFields(each)[21] ?? 0;
  return (pages * pageKiB) / 1024;
}

/** Fields of /proc/PID/stat from the third on: the second is a name that may hold spaces. */
function statFields(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/stat`, "latin1");
  return text
    .slice(text.lastIndexOf(")") + 2)
    .split(" ")
    .map(Number);
}

function family(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim();
  return [pid, ...(children === "" ? [] : children.split(" ").map(Number))];
}

/** Moves this process, all its threads, to the core of the engines. */
export function stayOnOtherCore(): void {
  Bun.spawnSync(["taskset", "-acp", String(otherCore), String(process.pid)]);
}

export const pinned = (core: number, command: readonly string[]): string[] => [
  "taskset",
  "-c",
  String(core),
  ...command,
];

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly bun: string;
  readonly commit: string;
  /** Of one minute, when the bench began: anything else that ran is in the noise of the figures. */
  readonly loadBefore: number;
}

export function describeMachine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    bun: Bun.version,
    commit: commit(),
    loadBefore: Number(readFileSync("/proc/loadavg", "latin1").split(" ", 1)[0]),
  };
}

function commit(): string {
  const git = (...args: string[]): string =>
    Bun.spawnSync(["git", ...args])
      .stdout.toString()
      .trim();
  const changed = git("status", "--porcelain", "--", "src", "bun.lock", "package.json") !== "";
  return `${git("rev-parse", "--short", "HEAD") || "none"}${changed ? " with uncommitted changes in src" : ""}`;
}
