// Whether the drivers had the time to ask and to look: what their event loops were late by, and what the machine had left.

import { readFileSync } from "node:fs";
import { percentile } from "../rig/statistics.ts";

export interface Lag {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** CPU of this process, in cores. */
  readonly cores: number;
}

const everyMs = 10;

/** How much later than asked for a timer of this process comes, ten milliseconds after ten. */
export function watchLag(): () => Lag {
  const late: number[] = [];
  const fromMs = performance.now();
  const before = process.cpuUsage();
  let dueMs = fromMs + everyMs;
  const timer = setInterval(() => {
    const nowMs = performance.now();
    late.push(Math.max(0, nowMs - dueMs));
    dueMs = nowMs + everyMs;
  }, everyMs);
  return () => {
    clearInterval(timer);
    const { user, system } = process.cpuUsage(before);
    const round = (value: number): number => Math.round(value * 100) / 100;
    return {
      p50Ms: round(percentile(late, 0.5)),
      p99Ms: round(percentile(late, 0.99)),
      maxMs: round(Math.max(0, ...late)),
      cores: round((user + system) / 1_000 / (performance.now() - fromMs)),
    };
  };
}

/** The share of this machine's CPU time that nobody used between the two calls, 0 to 1. */
export function watchIdle(): () => number {
  const before = cpuTimes();
  return () => {
    const after = cpuTimes();
    const all = after.all - before.all;
    return all === 0 ? 0 : (after.idle - before.idle) / all;
  };
}

function cpuTimes(): { readonly idle: number; readonly all: number } {
  const line = readFileSync("/proc/stat", "latin1").split("\n", 1)[0] ?? "";
  const times = line.trim().split(/\s+/).slice(1, 9).map(Number);
  return {
    idle: (times[3] ?? 0) + (times[4] ?? 0),
    all: times.reduce((sum, each) => sum + each, 0),
  };
}
