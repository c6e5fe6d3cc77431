// The loop over store and runner: hands jobs over, looks for their ends, takes up after a crash what was under way, and ends
// what is late, cancelled or poisonous. The store says what is; here is only when to do what next, on the monotonic clock,
// so that a step of the wall clock moves nothing.

import type { BackoffRule } from "../base/backoff.ts";
import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { createDurations, durationsKept } from "./durations.ts";
import type { Job } from "./job.ts";
import { isEnd } from "./job.ts";
import type { LaneEntry } from "./lane-entry.ts";
import { createEntry } from "./lane-entry.ts";
import { pollDelayMs } from "./poll-delay.ts";
import type { Again, Ended, JobRunner, Looked, Submitted } from "./runner.ts";
import type { Accepted, Found, Idempotency, JobStore, Move, Moved, NewJob } from "./store.ts";
import type { Trouble } from "./trouble.ts";
import { createTurns } from "./turns.ts";

export interface LaneRules {
  /** Hand-overs under way at once; a runner may ask for fewer by being busy. */
  readonly submitsMost: number;
  readonly looksMost: number;
  readonly retentionMs: number;
}

export const laneRules: LaneRules = { submitsMost: 8, looksMost: 16, retentionMs: 24 * 3_600_000 };

/** What happened, for log and metrics. */
export type LaneEvent =
  | { readonly kind: "submitted" | "ended"; readonly job: Job }
  /** It was being handed over when the program crashed. */
  | { readonly kind: "recovered"; readonly job: Job }
  | { readonly kind: "again"; readonly id: string; readonly why: string; readonly afterMs: number }
  | { readonly kind: "trouble"; readonly trouble: Trouble }
  /** A runner threw, which it must not. */
  | { readonly kind: "broke"; readonly id: string; readonly error: unknown };

export interface LaneParts {
  readonly store: JobStore;
  readonly runner: JobRunner;
  readonly clock: Clock;
  readonly random: Random;
  readonly rules?: LaneRules;
  readonly tell?: (event: LaneEvent) => void;
}

export interface Lane {
  /** Stores it, with the place of its result, and begins. */
  accept(job: Omit<NewJob, "outputKey">, idempotency?: Idempotency): Accepted;
  /** An ended job is refused. */
  cancel(id: string): Moved;
  /** Calls `listener` once when the job ends, if it has not ended before; the returned function forgets it. */
  onEnd(id: string, listener: () => void): () => void;
  /** The median from acceptance to result of the jobs done last; undefined: none was. */
  typicalMs(): number | undefined;
  figures(): LaneFigures;
  /** Starts nothing more, cuts short what is under way, and waits for it a moment. The store is the caller's to close. */
  stop(): Promise<void>;
}

export interface LaneFigures {
  /** Waiting for their turn, and for a while to pass. */
  readonly waiting: number;
  readonly submitting: number;
  readonly looking: number;
  readonly recovered: number;
  readonly refusals: number;
  /** How long the runner is left alone. */
  readonly shutForMs: number;
}

/** A job that was being handed over at so many crashes is taken for their cause. */
const crashesMost = 3;

/** How long one job waits after it was refused, and everybody with it. */
const againRule: BackoffRule = { baseMs: 1000, capMs: 60_000, jitter: 0.2 };

/** The last look, where the runner cannot look: a result that is there should not be missed for a bad minute. */
const lastLooksMost = 5;

/** After a crash: how long a call that was under way may take to show, where nothing is known of how long jobs take. */
const graceUnknownMs = 10_000;
const graceMostMs = 120_000;

const sweepEveryMs = 60_000;
/** Rows forgotten in one turn: with results of 1 MB this holds the loop for some milliseconds. */
const sweepAtOnce = 10;
const sweepAgainMs = 50;

/** A runner that does not come back when its signal says so is left behind. */
const stopMostMs = 2000;

const nothing = () => {};

export function createLane(parts: LaneParts): Lane {
  const { store, runner, clock, random, rules = laneRules, tell = nothing } = parts;
  const entries = new Map<string, LaneEntry>();
  const listeners = new Map<string, Set<() => void>>();
  const durations = createDurations();
  const turns = createTurns({
    runner,
    clock,
    random,
    submitsMost: rules.submitsMost,
    looksMost: rules.looksMost,
    rule: againRule,
    begin,
    look,
    broke: (entry, error) => tell({ kind: "broke", id: entry.id, error }),
  });
  let recovered = 0;
  let refusals = 0;
  let loads = 0;
  let stopped = false;
  /** The store may be closed: whatever comes now is found again at the next start. */
  let left = false;
  let stopLoad = nothing;
  let stopSweep = nothing;

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
    turns.next();
  }

  function enter(job: Job, crashed: boolean): void {
    const entry = createEntry(job, clock, crashed);
    entries.set(job.id, entry);
    entry.stopExpiry = clock.after(entry.expiresAt - clock.now(), () => outOfTime(entry));
    if (entry.crashed) {
      recovered += 1;
      tell({ kind: "recovered", job });
    }
    turns.line(entry);
  }

  function drop(entry: LaneEntry): void {
    entry.gone = true;
    entry.stopDue();
    entry.stopExpiry();
    entry.cut?.abort();
    turns.leave(entry);
    entries.delete(entry.id);
  }

  function ended(job: Job): void {
    const entry = entries.get(job.id);
    if (entry !== undefined) drop(entry);
    if (job.state === "done" && job.endedAtMs !== undefined) durations.add(job.endedAtMs - job.acceptedAtMs);
    tell({ kind: "ended", job });
    const waiting = listeners.get(job.id);
    listeners.delete(job.id);
    for (const listener of waiting ?? []) listener();
  }

  // The row, and what to do where it does not follow.

  /** The row of a job that is not ended. Undefined: there is none, or it cannot be read; what follows is arranged. */
  function rowOf<T extends Job>(entry: LaneEntry, read: (id: string) => Found<T | undefined>): T | undefined {
    const found = read(entry.id);
    if (found.kind === "unavailable") inTrouble(entry, found.trouble);
    else if (found.value === undefined || isEnd(found.value.state)) drop(entry);
    else return found.value;
    return undefined;
  }

  /** Undefined: it did not happen, and what is to happen instead is arranged. */
  function move(entry: LaneEntry, fence: number, to: Move): Job | undefined {
    const moved = store.move(entry.id, fence, to);
    if (moved.kind === "unavailable") inTrouble(entry, moved.trouble);
    else if (moved.kind === "refused") overtaken(entry, moved.job);
    else {
      if (isEnd(moved.job.state)) ended(moved.job);
      return moved.job;
    }
    return undefined;
  }

  /** The disk refuses. Nothing new is started for a while; this job is looked at again, for its row is behind. */
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

  function poll(entry: LaneEntry): void {
    entry.pollMs = pollDelayMs(clock.now() - entry.since, entry.pollMs, random);
    later(entry, entry.pollMs);
  }

  function putOff(entry: LaneEntry, afterMs: number): void {
    const own = backoffMs(againRule, entry.refusals, random);
    entry.refusals += 1;
    entry.again = true;
    later(entry, Math.max(afterMs, own));
  }

  function refused(entry: LaneEntry, { afterMs, why, madeRoom }: Again): void {
    tell({ kind: "again", id: entry.id, why, afterMs });
    if (madeRoom) {
      entry.again = true;
      later(entry, afterMs);
      return;
    }
    refusals += 1;
    putOff(entry, afterMs);
  }

  /** Where nothing outlives this process (no margin) there is nothing to wait for. */
  function graceMs(): number {
    const typical = durations.medianMs();
    const wished = typical === undefined ? graceUnknownMs : Math.min(2 * typical, graceMostMs);
    return Math.min(runner.marginMs, wished);
  }

  // The end of a ttl.

  /** What was handed over may still come to an end there, and is looked for as long as the margin. */
  function outOfTime(entry: LaneEntry): void {
    // The longest wait of a timer is shorter than the longest ttl.
    const early = entry.expiresAt - clock.now();
    if (early > 0) {
      entry.stopExpiry = clock.after(early, () => outOfTime(entry));
      return;
    }
    turns.leave(entry);
    entry.stage = "last";
    const job = rowOf(entry, store.get);
    if (job === undefined) return;
    if (job.attempt === 0) {
      expire(entry, job);
      return;
    }
    entry.cut?.abort();
    entry.stage = "watch";
    lookNow(entry);
    entry.stopExpiry = clock.after(entry.expiresAt + runner.marginMs - clock.now(), () => {
      entry.stage = "last";
      lookNow(entry);
    });
  }

  /** A call that is under way looks for it already, or will be followed by one. */
  function lookNow(entry: LaneEntry): void {
    entry.stopDue();
    if (entry.cut !== undefined) return;
    turns.line(entry);
    turns.next();
  }

  function expire(entry: LaneEntry, job: Job): void {
    const message =
      job.attempt === 0
        ? "Its ttl was over before anybody could begin it."
        : "Its ttl was over and no result has come.";
    const error = { code: "deadline_exceeded", message };
    move(entry, job.fence, { to: "expired", error, endedAtMs: clock.wallMs() });
  }

  // Handing over.

  function begin(entry: LaneEntry): void {
    const row = rowOf(entry, store.toDo);
    if (row === undefined) return;
    const crashed = entry.crashed && row.state === "submitting";
    if (crashed && row.recoveries + 1 >= crashesMost) {
      const message = `The router crashed ${crashesMost} times while it handed this job over; it is not tried again.`;
      const error = { code: "job_poisoned", message };
      move(entry, row.fence, { to: "poisoned", error, endedAtMs: clock.wallMs() });
      return;
    }
    const job = move(entry, row.fence, { to: "submitting", recovered: crashed });
    if (job === undefined) return;
    entry.crashed = false;
    turns.call<Submitted>(
      "submit",
      entry,
      (signal) => runner.submit({ ...job, request: row.request }, signal),
      (outcome) => {
        if (!entry.gone && !left) handedOver(entry, job, outcome);
      },
    );
  }

  function handedOver(entry: LaneEntry, job: Job, outcome: Submitted): void {
    if (outcome.kind === "submitted") {
      const now = move(entry, job.fence, { to: "submitted", handedOver: outcome });
      if (now === undefined) return;
      tell({ kind: "submitted", job: now });
      entry.refusals = 0;
      entry.since = clock.now();
      if (entry.stage === "last") {
        lookNow(entry);
        return;
      }
      entry.stage = "watch";
      poll(entry);
    } else if (outcome.kind === "again") {
      if (move(entry, job.fence, { to: "accepted" }) === undefined) return;
      // It may have been taken for all that, so a look comes before the next attempt.
      if (entry.stage === "start") entry.stage = "check";
      refused(entry, outcome);
    } else end(entry, job, outcome);
  }

  function end(entry: LaneEntry, job: Job, outcome: Ended): void {
    const endedAtMs = clock.wallMs();
    const to: Move =
      outcome.kind === "done"
        ? { to: "done", result: outcome.result, endedAtMs }
        : { to: "failed", error: outcome.error, endedAtMs };
    move(entry, job.fence, to);
  }

  // Looking for it.

  function look(entry: LaneEntry): void {
    const job = rowOf(entry, store.get);
    if (job === undefined) return;
    turns.call<Looked>(
      "look",
      entry,
      (signal) => runner.look(job, signal),
      (outcome) => {
        if (!entry.gone && !left) looked(entry, job, outcome);
      },
    );
  }

  function looked(entry: LaneEntry, job: Job, outcome: Looked): void {
    if (outcome.kind === "done" || outcome.kind === "failed") end(entry, job, outcome);
    else if (entry.stage === "last") lookedLast(entry, job, outcome);
    else if (outcome.kind === "again") refused(entry, outcome);
    else if (outcome.kind === "running" && job.state === "submitting") {
      // So the call that was cut off had arrived.
      handedOver(entry, job, { kind: "submitted" });
    } else {
      entry.refusals = 0;
      if (entry.stage === "watch" || outcome.kind === "running") poll(entry);
      else notThere(entry);
    }
  }

  function lookedLast(entry: LaneEntry, job: Job, outcome: Looked): void {
    entry.lastLooks += 1;
    if (outcome.kind === "again" && entry.lastLooks < lastLooksMost) refused(entry, outcome);
    else expire(entry, job);
  }

  function notThere(entry: LaneEntry): void {
    const waitMs = entry.stage === "grace" ? graceMs() : 0;
    entry.stage = waitMs > 0 ? "check" : "start";
    if (waitMs > 0) later(entry, waitMs);
    else turns.line(entry);
  }

  function sweep(): void {
    const swept = store.sweep(clock.wallMs() - rules.retentionMs, sweepAtOnce);
    if (swept.kind === "unavailable") tell({ kind: "trouble", trouble: swept.trouble });
    const more = swept.kind === "found" && swept.value === sweepAtOnce;
    stopSweep = clock.after(more ? sweepAgainMs : sweepEveryMs, sweep);
  }

  load();
  sweep();

  return {
    accept(job, idempotency) {
      const accepted = store.accept({ ...job, outputKey: runner.outputKey(job) }, idempotency);
      if (accepted.kind === "stored" && !stopped) {
        enter(accepted.job, false);
        turns.next();
      }
      return accepted;
    },
    cancel(id) {
      const moved = store.cancel(id, clock.wallMs());
      if (moved.kind === "moved") ended(moved.job);
      return moved;
    },
    onEnd(id, listener) {
      const own = listeners.get(id) ?? new Set();
      own.add(listener);
      listeners.set(id, own);
      return () => {
        own.delete(listener);
        if (own.size === 0 && listeners.get(id) === own) listeners.delete(id);
      };
    },
    typicalMs: durations.medianMs,
    figures() {
      const { submit, look } = turns.underWay();
      return {
        waiting: entries.size - submit - look,
        submitting: submit,
        looking: look,
        recovered,
        refusals,
        shutForMs: turns.shutForMs(),
      };
    },
    async stop() {
      stopped = true;
      stopLoad();
      stopSweep();
      const calls = turns.stop();
      for (const entry of entries.values()) {
        entry.stopDue();
        entry.stopExpiry();
        entry.cut?.abort();
      }
      let stopWaiting = nothing;
      const longEnough = new Promise<void>((resolve) => {
        stopWaiting = clock.after(stopMostMs, resolve);
      });
      await Promise.race([calls, longEnough]);
      stopWaiting();
      left = true;
    },
  };
}
