// The desk in front of a lane: it looks, waits and cancels for callers. How an order becomes a job is orders.ts's, what
// becomes of the job lane.ts's.

import type { CacheControl } from "../base/cache-control.ts";
import { Departure } from "../base/departure.ts";
import { pause } from "../base/pause.ts";
import type { Elsewhere, FoundJob, JobDesk, SeenJob } from "./desk.ts";
import { deskRule, takesOf } from "./desk.ts";
import type { DeskRefusal } from "./desk-refusal.ts";
import { alreadyEnded, notFound, storeRefusal } from "./desk-refusal.ts";
import type { Job } from "./job.ts";
import { isEnd } from "./job.ts";
import { readJobId } from "./job-id.ts";
import type { Lane } from "./lane.ts";
import type { OrderParts } from "./orders.ts";
import { createOrders } from "./orders.ts";
import type { JobRunner } from "./runner.ts";
import { seekIn, seekOf } from "./seek.ts";
import type { JobStore } from "./store.ts";
import type { Trouble } from "./trouble.ts";

export interface LaneDeskParts extends Omit<OrderParts, "see"> {
  readonly store: Pick<JobStore, "get" | "result" | "list">;
  readonly lane: Pick<Lane, "accept" | "cancel" | "onEnd" | "typicalMs">;
  readonly runner: Pick<JobRunner, "name" | "outputKey">;
}

export interface LaneDesk extends JobDesk {
  /** Which results are given again, by the keys of what was asked. */
  readonly kept: CacheControl;
}

export function createLaneDesk(parts: LaneDeskParts): LaneDesk {
  const { member, store, lane, runner, models, keeping, clock, random } = parts;
  let waiters = 0;

  const unavailable = (trouble: Trouble): DeskRefusal => storeRefusal(trouble.message, random);

  /** Of the job that was seen last: whoever waited for one end with a thousand others does not read its result anew. */
  let last: { readonly id: string; readonly result: Uint8Array | undefined } | undefined;

  const see = (job: Job): SeenJob | DeskRefusal => {
    if (job.state !== "done") return { job, result: undefined };
    if (last?.id !== job.id) {
      const read = store.result(job.id);
      if (read.kind === "unavailable") return unavailable(read.trouble);
      last = { id: job.id, result: read.value };
    }
    return { job, result: last.result };
  };
  const found = (job: Job): FoundJob => {
    const seen = see(job);
    return "code" in seen ? seen : { kind: "found", ...seen };
  };

  const { order, kept } = createOrders({ ...parts, see });

  /** A job that is somebody else's is not there at all. */
  const look = (
    id: string,
    caller: string | undefined,
  ): { kind: "row"; job: Job } | Elsewhere | DeskRefusal => {
    const row = store.get(id);
    if (row.kind === "unavailable") return unavailable(row.trouble);
    if (row.value?.owner === (caller ?? null)) return { kind: "row", job: row.value };
    // What was adopted from another host is in the store under the name that it was given there.
    const owner = row.value === undefined ? readJobId(id)?.member : undefined;
    const isElsewhere = owner !== undefined && (owner !== member || keeping !== undefined);
    return isElsewhere ? { kind: "elsewhere", id, member: owner } : notFound;
  };

  const get = (id: string, caller: string | undefined): FoundJob => {
    const seen = look(id, caller);
    return seen.kind === "row" ? found(seen.job) : seen;
  };

  /** Of a job that had a row a moment ago: another host has taken it over. */
  const afterLoss = (id: string, caller: string | undefined): FoundJob | Promise<FoundJob> =>
    keeping === undefined ? notFound : seekIn(keeping, clock, id, caller, undefined);

  return {
    runner: runner.name,
    durability: keeping === undefined ? "host" : "fleet",
    models,
    requestBytesMost: parts.requestBytesMost,
    takes: takesOf(models),
    typicalMs: lane.typicalMs,
    order,
    get,

    async wait(id, caller, waitMs, callerLeft) {
      const seen = look(id, caller);
      if (seen.kind !== "row") return seen;
      const isPointless = isEnd(seen.job.state) || !(waitMs > 0) || callerLeft.aborted;
      if (isPointless || waiters >= deskRule.waitersMost) return found(seen.job);
      waiters += 1;
      const ended = new Departure();
      const stopListening = lane.onEnd(id, () => ended.abort());
      await pause(clock, waitMs, callerLeft, ended);
      stopListening();
      waiters -= 1;
      const now = get(id, caller);
      return now.kind === "elsewhere" ? afterLoss(id, caller) : now;
    },

    list(caller, wanted) {
      const page = store.list({ ...wanted, owner: caller ?? null });
      return page.kind === "found" ? { kind: "listed", ...page.value } : unavailable(page.trouble);
    },

    async cancel(id, caller) {
      const seen = look(id, caller);
      if (seen.kind !== "row") return seen;
      const cancelled = await lane.cancel(id);
      switch (cancelled.kind) {
        case "moved":
          return found(cancelled.job);
        case "refused":
          return cancelled.job === undefined ? notFound : alreadyEnded;
        case "unavailable":
          return unavailable(cancelled.trouble);
        case "lost":
          return { kind: "elsewhere", id, member: cancelled.member };
        case "not-yet":
          return storeRefusal(
            `The job has ended, and that could not be written down here yet. Ask for the job again soon. ${cancelled.why}`,
            random,
          );
        case "not-now":
          return storeRefusal(
            `The job could not be cancelled, and goes on. Try again. ${cancelled.why}`,
            random,
          );
      }
    },

    ...seekOf(keeping, clock),

    kept,
  };
}
