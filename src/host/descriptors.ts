// How many file descriptors this process has open, and how many it may have. Bun raises its own soft limit to the hard
// one as it starts, so the limit is what whoever started it has allowed.

import { readdirSync, readFileSync, statSync } from "node:fs";
import type { Clock } from "../base/clock.ts";
import { ifThere } from "./if-there.ts";

export interface Descriptors {
  /** Undefined where there is no /proc, or no limit. */
  readonly limit: number | undefined;
  /** Undefined where there is no /proc. */
  open(): number | undefined;
  /** So many have just been closed: a count from before is too high by them. */
  closed(many: number): void;
}

/** Counting them one by one takes a millisecond for every few thousand, so an older figure will do for a while. */
const recountMs = 2000;

export function createDescriptors(clock: Clock, proc = "/proc/self"): Descriptors {
  const folder = `${proc}/fd`;
  const limit = limitIn(ifThere(() => readFileSync(`${proc}/limits`, "utf8")) ?? "");
  // Since Linux 6.2 the folder's size is their number.
  const tellsSize = (ifThere(() => statSync(folder).size) ?? 0) > 0;
  let counted: number | undefined;
  let countedAt = Number.NEGATIVE_INFINITY;
  return {
    limit,
    open() {
      if (tellsSize) return ifThere(() => statSync(folder).size);
      if (clock.now() - countedAt >= recountMs) {
        counted = ifThere(() => readdirSync(folder).length, limit);
        countedAt = clock.now();
      }
      return counted;
    },
    closed(many) {
      if (counted !== undefined) counted -= many;
    },
  };
}

function limitIn(limits: string): number | undefined {
  const [, soft] = /^Max open files\s+(\d+)/m.exec(limits) ?? [];
  return soft === undefined ? undefined : Number(soft);
}
