// The jobs that have not ended, and their rows: how they come and go, when each is to be seen to again, and what follows
// where a row cannot be read or changed, or is not as was thought. What is done with a job is lane.ts's.

import type { BackoffRule } from "../base/backoff.ts";
import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { createDurations, durationsKept } from "./durations.ts";
import type { Job } from "./job.ts";
import { isEnd } from "./job.ts";
import type { LaneEntry } from "./lane-entry.ts";
import { createEntry } from "./lane-entry.ts";
import type { Again } from "./runner.ts";
import type { AnyEnding, Found, JobStore, Move, Moved } from "./store.ts";
import type { Trouble } from "./trouble.ts";
import type { Turns } from "./turns.ts";

export type FlowEvent =
  | { readonly kind: "ended"; readonly job: Job }
  /** It was being handed over, or done, when the program crashed. */
  | { readonly kind: "recovered"; readonly job: Job }
  | {
      readonly kind: "again";
      readonly id: string;
      readonly why: string;
      readonly afterMs: number;
      /** Of this job alone, and not for the first time: nobody else waits for that. */
      readonly isOldNews: boolean;
    }
  | { readonly kind: "trouble"; readonly trouble: Trouble };

export interface FlowParts {
  readonly store: JobStore;
  readonly turns: Turns;
  /** The runner's. */
  readonly outlives: boolean;
  readonly clock: Clock;
  readonly random: Random;
  readonly tell: (event: FlowEvent) => void;
  /** Sees to its expiry, from now on. */
  readonly watchTtl: (entry: LaneEntry) => void;
}

export interface Flow {
  readonly entries: ReadonlyMap<string, LaneEntry>;
  /** Brings in what the store has. */
  load(): void;
  /** `crashed`: the row is as a crash has left it. */
  enter(job: Job, crashed: boolean): void;
  /** Its call is cut, and nothing that comes of it matters. */
  drop(entry: LaneEntry): void;
  /** As `drop`, but later it is to be seen to again as one that is lost to that member. `trouble`: the disk's, if it is. */
  leaveLost(entry: LaneEntry, member: string, trouble: Trouble | undefined): void;
  /** Its end, until it is written down; undefined: not any more. */
  hold(entry: LaneEntry, end: AnyEnding | undefined): void;
  /** Of the results among those ends. */
  heldBytes(): number;
  /** The row of a job that is not ended. Undefined: there is none, or it cannot be read; what follows is arranged. */
  rowOf<T extends Job>(entry: LaneEntry, read: (id: string) => Found<T | undefined>): T | undefined;
  /** Undefined: it did not happen, and what is to happen instead is arranged. */
  move(entry: LaneEntry, fence: number, to: Move): Job | undefined;
  /** What `move` does after the write, for a write already made. */
  follow(entry: LaneEntry, moved: Moved): Job | undefined;
  /** Its row says so. */
  ended(job: Job): void;
  onEnd(id: string, listener: () => void): () => void;
  /** Calls those who wait for its end. */
  wake(id: string): void;
  later(entry: LaneEntry, delayMs: number): void;
  /** As soon as there is a turn; a call that is under way will be followed by one. */
  soon(entry: LaneEntry): void;
  refused(entry: LaneEntry, again: Again): void;
  typicalMs(): number | undefined;
  recovered(): number;
  refusals(): number;
  /** No timer is left. */
  stop(): void;
}

/** How long one job waits after it was refused, and everybody with it. */
export const againRule: BackoffRule = { baseMs: 1000, capMs: 60_000, jitter: 0.2 };

const nothing = () => {};

const bytesOf = (end: AnyEnding | undefined): number => (end?.to === "done" ? end.result.byteLength : 0);

export function createFlow({ store, turns, outlives, clock, random, tell, watchTtl }: FlowParts): Flow {
  const entries = new Map<string, LaneEntry>();
  const listeners = new Map<string, Set<() => void>>();
  const durations = createDurations();
  let heldBytes = 0;
  let recovered = 0;
  let refusals = 0;
  let loads = 0;
  let stopped = false;
  let stopLoad = nothing;

  // Coming and going.

  function load(): void {
    const found = store.unfinished();
    if (found.kind === "unavailable") {
      tell({ kind: "trouble", trouble: found.trouble });
      stopLoad = clock.after(backoffMs(againRule, loads++, random), load);
      return;
    }
    for (const ms of store.recentDurationsMs(durationsKept).toReversed()) durations.add(ms);
    for (const job of found.value) if (!entries.has(job.id)) enter(job, store.crashed);
  }

  function enter(job: Job, crashed: boolean): void {
    if (stopped) return;
    const entry = createEntry(job, clock, crashed, outlives);
    entries.set(job.id, entry);
    if (entry.crashed) {
      recovered += 1;
      tell({ kind: "recovered", job });
    }
    turns.line(entry);
    turns.next();
    // At once where it is over already: it is not to be handed over before a timer has come.
    watchTtl(entry);
  }

  function hold(entry: LaneEntry, end: AnyEnding | undefined): void {
    heldBytes += bytesOf(end) - bytesOf(entry.end);
    entry.end = end;
  }

  function drop(entry: LaneEntry): void {
    entry.gone = true;
    hold(entry, undefined);
    entry.stopDue();
    entry.stopExpiry();
    entry.cut?.abort();
    turns.remove(entry);
    entries.delete(entry.id);
  }

  function ended(job: Job): void {
    const entry = entries.get(job.id);
    if (entry !== undefined) drop(entry);
    if (job.state === "done" && job.endedAtMs !== undefined) durations.add(job.endedAtMs - job.acceptedAtMs);
    tell({ kind: "ended", job });
    wake(job.id);
  }

  function wake(id: string): void {
    const waiting = listeners.get(id);
    listeners.delete(id);
    for (const listener of waiting ?? []) listener();
  }

  // The row, and what to do where it does not follow.

  function follow(entry: LaneEntry, moved: Moved): Job | undefined {
    if (moved.kind === "unavailable") inTrouble(entry, moved.trouble);
    else if (moved.kind === "refused") overtaken(entry, moved.job);
    else {
      if (isEnd(moved.job.state)) ended(moved.job);
      return moved.job;
    }
    return undefined;
  }

  /** The disk refuses. Nothing new is started for a while; this job is seen to again, for its row is behind. */
  function inTrouble(entry: LaneEntry, trouble: Trouble): void {
    tell({ kind: "trouble", trouble });
    turns.shut();
    if (entry.stage === "start") entry.stage = "check";
    putOff(entry, 0);
  }

  /** Somebody else changed the row: begin anew from what it says. */
  function overtaken(entry: LaneEntry, job: Job | undefined): void {
    drop(entry);
    if (job !== undefined && !isEnd(job.state)) enter(job, false);
  }

  // When to do it.

  function later(entry: LaneEntry, delayMs: number): void {
    entry.stopDue();
    if (stopped) return;
    entry.stopDue = clock.after(delayMs, () => {
      turns.line(entry);
      turns.next();
    });
  }

  function putOff(entry: LaneEntry, afterMs: number): void {
    const own = backoffMs(againRule, entry.refusals, random);
    entry.refusals += 1;
    later(entry, Math.max(afterMs, own));
  }

  return {
    entries,
    load,
    enter,
    drop,
    leaveLost(entry, member, trouble) {
      drop(entry);
      const lost: LaneEntry = { ...entry, stage: "lost", lostTo: member, gone: false, cut: undefined };
      entries.set(lost.id, lost);
      if (trouble === undefined) putOff(lost, 0);
      else inTrouble(lost, trouble);
    },
    hold,
    heldBytes: () => heldBytes,
    rowOf(entry, read) {
      const found = read(entry.id);
      if (found.kind === "unavailable") inTrouble(entry, found.trouble);
      else if (found.value === undefined || isEnd(found.value.state)) drop(entry);
      else return found.value;
      return undefined;
    },
    move: (entry, fence, to) => follow(entry, store.move(entry.id, fence, to)),
    follow,
    ended,
    onEnd(id, listener) {
      const own = listeners.get(id) ?? new Set();
      own.add(listener);
      listeners.set(id, own);
      return () => {
        own.delete(listener);
        if (own.size === 0 && listeners.get(id) === own) listeners.delete(id);
      };
    },
    wake,
    later,
    soon(entry) {
      entry.stopDue();
      if (entry.cut !== undefined) return;
      turns.line(entry);
      turns.next();
    },
    refused(entry, { afterMs, why, about }) {
      const isOldNews = about === "room" || (about === "job" && entry.refusals > 0);
      tell({ kind: "again", id: entry.id, why, afterMs, isOldNews });
      if (about === "room") {
        later(entry, afterMs);
        return;
      }
      refusals += 1;
      putOff(entry, afterMs);
    },
    typicalMs: durations.medianMs,
    recovered: () => recovered,
    refusals: () => refusals,
    stop() {
      stopped = true;
      stopLoad();
      for (const entry of entries.values()) {
        entry.stopDue();
        entry.stopExpiry();
        // An end that is being told has a moment to be written down.
        if (entry.stage !== "close") entry.cut?.abort();
      }
    },
  };
}
