// The loop over store and runner: hands jobs over, looks for their ends, takes up after a crash what was under way, and ends
// what is late, cancelled or poisonous. The store says what is; here is only when to do what next, on the monotonic clock,
// so that a step of the wall clock moves nothing.

import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Job, JobError } from "./job.ts";
import { noResultInTime } from "./job.ts";
import type { Cancelled, CloseJob, EndsEvent } from "./lane-ends.ts";
import { createEnds } from "./lane-ends.ts";
import type { LaneEntry } from "./lane-entry.ts";
import type { FlowEvent } from "./lane-flow.ts";
import { againRule, createFlow } from "./lane-flow.ts";
import { pollDelayMs } from "./poll-delay.ts";
import type { Rests } from "./rests.ts";
import { createRests } from "./rests.ts";
import type { Ended, JobRunner, Looked, Submitted } from "./runner.ts";
import type { Accepted, Idempotency, JobStore, NewJob } from "./store.ts";
import type { Crowded } from "./together.ts";
import { createTogether } from "./together.ts";
import { createTurns } from "./turns.ts";

export interface LaneRules {
  /** Hand-overs under way at once; a runner may ask for fewer by being busy. */
  readonly submitsMost: number;
  readonly looksMost: number;
}

export const laneRules: LaneRules = { submitsMost: 8, looksMost: 16 };

/** What happened, for log and metrics. */
export type LaneEvent = FlowEvent | EndsEvent | { readonly kind: "submitted"; readonly job: Job };

export interface LaneParts {
  readonly store: JobStore;
  readonly runner: JobRunner;
  readonly clock: Clock;
  readonly random: Random;
  readonly rules?: LaneRules;
  readonly tell?: (event: LaneEvent) => void;
  /** Asked before an end is written down, so before anybody sees it; absent: nobody else can have the job. Never rejects. */
  readonly closing?: CloseJob;
}

export interface Lane {
  /** Stores it, with the place of its result, and begins. */
  accept(job: Omit<NewJob, "outputKey">, idempotency?: Idempotency): Promise<Accepted | Crowded>;
  /** Takes over another host's job: past the queue limit, and looked for before it is handed over, for it may have been. */
  adopt(job: NewJob): Promise<Accepted | Crowded>;
  /**
   * That host has it: forgets it, and wakes whoever waits for its end, who will find no row. Whether it is forgotten; where
   * the disk takes nothing it is tried again. Never rejects.
   */
  lose(id: string, member: string): Promise<boolean>;
  /** The ids of all that have not ended. */
  unfinished(): readonly string[];
  /** An ended job is refused. Waits for `closing` where there is one. */
  cancel(id: string): Promise<Cancelled>;
  /** Calls `listener` once when the job ends or is lost, if it has not ended before; the returned function forgets it. */
  onEnd(id: string, listener: () => void): () => void;
  /**
   * The median from acceptance to result of the jobs done last; undefined: none was, or some wait and the runner takes
   * none now, so that what was says nothing.
   */
  typicalMs(): number | undefined;
  figures(): LaneFigures;
  /** Whoever else writes to that disk waits for his turn here. */
  readonly rests: Rests;
  /** Starts nothing more, cuts short what is under way, and waits for it a moment. The store is the caller's to close. */
  stop(): Promise<void>;
}

export interface LaneFigures {
  /** Jobs that were being handed over, or done, at a crash. */
  readonly recovered: number;
  /** Times that the runner put a job off. */
  readonly refusals: number;
}

const notBegunInTime: JobError = {
  ...noResultInTime,
  message: "Its ttl was over before anybody could begin it.",
};

/** A job that was being handed over at so many crashes is taken for their cause. */
const crashesMost = 3;

/** The last look, where the runner cannot look: a result that is there should not be missed for a bad minute. */
const lastLooksMost = 5;

/** After a crash: how long a call that was under way may take to show, where nothing is known of how long jobs take. */
const graceUnknownMs = 10_000;
const graceMostMs = 120_000;

/** A runner that does not come back when its signal says so is left behind. */
const stopMostMs = 2000;

const nothing = () => {};

export function createLane(parts: LaneParts): Lane {
  const { store, runner, clock, random, rules = laneRules, tell = nothing } = parts;
  const { outlives } = runner;
  const rests = createRests(clock);
  const together = createTogether({ store, rests, clock });
  const turns = createTurns({
    runner,
    rests,
    clock,
    random,
    submitsMost: rules.submitsMost,
    looksMost: rules.looksMost,
    rule: againRule,
    begin,
    look,
    broke: (entry, error) => tell({ kind: "broke", id: entry.id, error }),
  });
  const flow = createFlow({ store, turns, outlives, clock, random, tell, watchTtl });
  /** The store may be closed: whatever comes then is found again at the next start. */
  const stopped = new AbortController();
  const { closing } = parts;
  const ends = createEnds({
    flow,
    store,
    together,
    turns,
    outlives,
    clock,
    closing,
    tell,
    stopped: stopped.signal,
  });

  function poll(entry: LaneEntry): void {
    entry.pollMs = pollDelayMs(clock.now() - entry.since, entry.pollMs, random);
    flow.later(entry, entry.pollMs);
  }

  /** Where nothing outlives this process (no margin) there is nothing to wait for. */
  function graceMs(): number {
    const typical = flow.typicalMs();
    const wished = typical === undefined ? graceUnknownMs : Math.min(2 * typical, graceMostMs);
    return Math.min(runner.marginMs, wished);
  }

  // The end of a ttl.

  /** What was handed over may still come to an end there, and is looked for as long as the margin. */
  function watchTtl(entry: LaneEntry): void {
    // The longest wait of a timer is shorter than the longest ttl.
    const early = entry.expiresAt - clock.now();
    if (early > 0) {
      entry.stopExpiry = clock.after(early, () => watchTtl(entry));
      return;
    }
    // Its end is known already.
    if (entry.stage === "close" || entry.stage === "lost") return;
    turns.remove(entry);
    // What came together is over together, so nothing is read or written before its turn.
    if (!entry.hadTurn) {
      entry.stage = "last";
      flow.soon(entry);
      return;
    }
    entry.cut?.abort();
    entry.stage = "watch";
    flow.soon(entry);
    entry.stopExpiry = clock.after(entry.expiresAt + runner.marginMs - clock.now(), () => {
      if (entry.stage === "close") return;
      entry.stage = "last";
      // It has waited for its result long enough: what refused before does not slow the last looks.
      entry.refusals = 0;
      flow.soon(entry);
    });
  }

  function expire(entry: LaneEntry, job: Job): void {
    const error = job.attempt === 0 ? notBegunInTime : noResultInTime;
    ends.end(entry, job, { to: "expired", error, endedAtMs: clock.wallMs() });
  }

  // Handing over.

  function begin(entry: LaneEntry): void {
    entry.hadTurn = true;
    const row = flow.rowOf(entry, store.toDo);
    if (row === undefined) return;
    if (entry.crashed && row.recoveries + 1 >= crashesMost) {
      const message = `The router crashed ${crashesMost} times while it handed this job over or did it; it is not tried again.`;
      const error = { code: "job_poisoned", message };
      ends.end(entry, row, { to: "poisoned", error, endedAtMs: clock.wallMs() });
      return;
    }
    const job = flow.move(entry, row.fence, { to: "submitting", recovered: entry.crashed });
    if (job === undefined) return;
    entry.crashed = false;
    turns.call<Submitted>({
      what: "submit",
      entry,
      ask: (signal, began) => {
        const leftMs = Math.max(0, entry.expiresAt - clock.now());
        return runner.submit({ ...job, request: row.request, leftMs }, signal, began);
      },
      began: () => {
        if (!entry.gone && !stopped.signal.aborted) began(job);
      },
      cameBack: (outcome) => {
        if (!entry.gone && !stopped.signal.aborted) handedOver(entry, job, outcome);
      },
    });
  }

  /** The call goes on, and its outcome counts. A row that cannot be written now stays as it is. */
  function began({ id, fence }: Job): void {
    const moved = store.move(id, fence, { to: "submitted", handedOver: { kind: "submitted" } });
    if (moved.kind === "moved") tell({ kind: "submitted", job: moved.job });
    else if (moved.kind === "unavailable") tell({ kind: "trouble", trouble: moved.trouble });
  }

  function handedOver(entry: LaneEntry, job: Job, outcome: Submitted): void {
    if (outcome.kind === "submitted") {
      const now = flow.move(entry, job.fence, { to: "submitted", handedOver: outcome });
      if (now === undefined) return;
      tell({ kind: "submitted", job: now });
      entry.refusals = 0;
      entry.since = clock.now();
      if (entry.stage === "last") {
        flow.soon(entry);
        return;
      }
      entry.stage = "watch";
      poll(entry);
    } else if (outcome.kind === "again") {
      if (flow.move(entry, job.fence, { to: "accepted" }) === undefined) return;
      // It may have been taken for all that, so a look comes before the next attempt.
      if (entry.stage === "start") entry.stage = "check";
      flow.refused(entry, outcome);
    } else end(entry, job, outcome);
  }

  function end(entry: LaneEntry, job: Job, outcome: Ended): void {
    const endedAtMs = clock.wallMs();
    ends.end(
      entry,
      job,
      outcome.kind === "done"
        ? { to: "done", result: outcome.result, endedAtMs }
        : { to: "failed", error: outcome.error, endedAtMs },
    );
  }

  // Looking for it.

  function look(entry: LaneEntry): void {
    if (entry.stage === "close" || entry.stage === "lost") {
      ends.leave(entry);
      return;
    }
    const job = flow.rowOf(entry, store.get);
    if (job === undefined) return;
    if (job.attempt === 0 && clock.now() >= entry.expiresAt) {
      expire(entry, job);
      return;
    }
    turns.call<Looked>({
      what: "look",
      entry,
      ask: (signal) => runner.look(job, signal),
      cameBack: (outcome) => {
        if (!entry.gone && !stopped.signal.aborted) looked(entry, job, outcome);
      },
    });
  }

  function looked(entry: LaneEntry, job: Job, outcome: Looked): void {
    if (outcome.kind === "done" || outcome.kind === "failed") end(entry, job, outcome);
    else if (entry.stage === "last") lookedLast(entry, job, outcome);
    else if (outcome.kind === "again") flow.refused(entry, outcome);
    else if (entry.stage === "watch") {
      entry.refusals = 0;
      poll(entry);
    } else notThere(entry);
  }

  function lookedLast(entry: LaneEntry, job: Job, outcome: Looked): void {
    entry.lastLooks += 1;
    if (outcome.kind === "again" && entry.lastLooks < lastLooksMost) flow.refused(entry, outcome);
    else expire(entry, job);
  }

  function notThere(entry: LaneEntry): void {
    const waitMs = entry.stage === "grace" ? graceMs() : 0;
    entry.stage = waitMs > 0 ? "check" : "start";
    if (waitMs > 0) flow.later(entry, waitMs);
    else turns.line(entry);
  }

  function enter(accepted: Accepted): void {
    if (accepted.kind === "stored") flow.enter(accepted.job, false);
  }

  flow.load();

  return {
    accept(job, idempotency) {
      const whole = { ...job, outputKey: runner.outputKey(job) };
      return together.write(job.request.byteLength, () => store.accept(whole, idempotency), enter);
    },
    adopt: (job) => together.write(job.request.byteLength, () => store.adopt(job), enter),
    lose: ends.lose,
    unfinished: () => [...flow.entries.keys()],
    cancel: ends.cancel,
    onEnd: flow.onEnd,
    typicalMs() {
      const isStuck = flow.entries.size > 0 && (turns.isRefused() || runner.busyMs() !== undefined);
      return isStuck ? undefined : flow.typicalMs();
    },
    rests,
    figures: () => ({ recovered: flow.recovered(), refusals: flow.refusals() }),
    async stop() {
      const calls = turns.stop();
      flow.stop();
      together.stop();
      let stopWaiting = nothing;
      const longEnough = new Promise<void>((resolve) => {
        stopWaiting = clock.after(stopMostMs, resolve);
      });
      await Promise.race([calls, longEnough]);
      stopWaiting();
      stopped.abort();
    },
  };
}
