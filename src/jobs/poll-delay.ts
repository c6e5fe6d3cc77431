// How long until the next look at a job that somebody has: decorrelated jitter, and never more than a third of its age, so
// that a short job is seen soon and a long one costs little.

import type { Random } from "../base/random.ts";

const shortestMs = 500;
const longestMs = 30_000;

export function pollDelayMs(ageMs: number, previousMs: number, random: Random): number {
  const cap = Math.min(longestMs, Math.max(shortestMs, ageMs / 3));
  const highest = Math.min(cap, Math.max(shortestMs, previousMs) * 3);
  return shortestMs + random() * (highest - shortestMs);
}
