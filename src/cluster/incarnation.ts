// Where a run of the program begins to count, and how it is told from the run before.

import type { Random } from "../base/random.ts";

/** Above this a claim is malformed: nobody could outrank it. Reached by unix milliseconds in the year 144,000. */
export const incarnationMost = 2 ** 52;

/** In a claim: what is left above is for the member itself to answer in. */
export const claimIncarnationMost = incarnationMost - 2 ** 40;

/**
 * The first incarnation of a run. The wall clock outranks earlier runs if the disk is lost, the disk if the clock
 * has stepped back; with both gone the router learns from its peers what to outrank.
 */
export function firstIncarnation(wallMs: number, persisted: number | undefined): number {
  return Math.min(incarnationMost / 2, Math.max(Math.floor(wallMs), (persisted ?? 0) + 1));
}

/** Wide enough for the digits of `incarnationMost` in base 36. */
const stampDigits = 11;

/** Names a run; compared as text, the run with the higher first incarnation is the later one. */
export function bootId(incarnation: number, random: Random): string {
  const stamp = incarnation.toString(36).padStart(stampDigits, "0");
  const dice = Math.floor(random() * 2 ** 32).toString(36);
  return `${stamp}-${dice}`;
}
