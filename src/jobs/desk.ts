// What a door may ask about jobs, and what it is answered: every refusal is a value with a code. A caller sees the jobs of
// its own key and no others. What becomes of a job once it is accepted is lane.ts's.

import type { CacheControl, CacheSettings } from "../base/cache-control.ts";
import { canonicalJson } from "../base/canonical-json.ts";
import type { Clock } from "../base/clock.ts";
import type { Leaving } from "../base/departure.ts";
import { Departure } from "../base/departure.ts";
import { inTime } from "../base/in-time.ts";
import { pause } from "../base/pause.ts";
import type { Random } from "../base/random.ts";
import { createTtlLru } from "../base/ttl-lru.ts";
import type { Reuse } from "../dispatch/reuse.ts";
import { retryAfterMs } from "../routing/admission.ts";
import type { DeskRefusal } from "./desk-refusal.ts";
import { alreadyEnded, mismatch, notFound, storeRefusal, storeRetryMs } from "./desk-refusal.ts";
import type { Job, JobKind, JobStatus } from "./job.ts";
import { isEnd } from "./job.ts";
import { readJobId } from "./job-id.ts";
import type { JobKeeping } from "./keeping.ts";
import type { Lane } from "./lane.ts";
import { named } from "./named.ts";
import type { JobRunner } from "./runner.ts";
import { createSecuring, secureMostMs } from "./secure.ts";
import type { Accepted, JobStore } from "./store.ts";
import type { Trouble } from "./trouble.ts";

export const deskRule = {
  /** SageMaker keeps a request in its queue no longer than six hours. */
  ttlMsMost: 6 * 3_600_000,
  ttlMsUsual: 3_600_000,
  /** Callers that wait for an end, all together; whoever comes on top is told at once how things stand. */
  waitersMost: 10_000,
  /** Of S3, where it is asked for a job that is not here; its caller is waiting. */
  seekMostMs: 5_000,
  /** An entry is a hash and an id, and what a map needs for them. */
  keptBytes: 512,
} as const;

export interface JobOrder {
  /** The name of the caller's key; undefined where nobody is asked for one. */
  readonly caller: string | undefined;
  readonly kind: JobKind;
  /** The one model that will do; undefined: whatever the lane has. */
  readonly model: string | undefined;
  /** What the request itself names. */
  readonly modelName: string | undefined;
  readonly request: Uint8Array;
  readonly ttlMs: number;
  readonly idempotencyKey?: string | undefined;
  /** Undefined: its result is for this order alone. */
  readonly reuse?: Reuse | undefined;
}

export interface SeenJob {
  readonly job: Job;
  /** The engine's own answer, of a job that is done. */
  readonly result: Uint8Array | undefined;
}

/**
 * The job is another host's to answer for. `member`: who has it, or who named it; this host itself where it has lost the
 * job, or forgotten it, and only S3 may know.
 */
export interface Elsewhere {
  readonly kind: "elsewhere";
  readonly id: string;
  readonly member: string;
}

export type Ordered =
  | ({
      /** `same`: its idempotency key is known. `kept`: it was done a moment ago. */
      readonly kind: "accepted" | "same" | "kept";
    } & SeenJob)
  | Elsewhere
  | DeskRefusal;

export type FoundJob = ({ readonly kind: "found" } & SeenJob) | Elsewhere | DeskRefusal;

export interface JobsWanted {
  readonly status?: JobStatus;
  readonly after?: string;
  readonly limit: number;
}

export type ListedJobs =
  | { readonly kind: "listed"; readonly jobs: readonly Job[]; readonly hasMore: boolean }
  | DeskRefusal;

export interface JobDesk {
  /** Where jobs are done. */
  readonly runner: JobRunner["name"];
  /** What a job survives: the loss of this host, or only its crash. */
  readonly durability: "fleet" | "host";
  /** What it calls its models; undefined: it has what the fleet has. */
  readonly models: readonly string[] | undefined;
  /** Whether a job for this model, or for none, can be done here. */
  takes(model: string | undefined): boolean;
  /** How long jobs took of late, from acceptance to result; undefined: nobody knows. */
  typicalMs(): number | undefined;
  order(order: JobOrder): Promise<Ordered>;
  get(id: string, caller: string | undefined): FoundJob;
  /** As `get`, when the job has ended, the time is over or the caller has left. */
  wait(id: string, caller: string | undefined, waitMs: number, callerLeft: Leaving): Promise<FoundJob>;
  list(caller: string | undefined, wanted: JobsWanted): ListedJobs;
  cancel(id: string, caller: string | undefined): Promise<FoundJob>;
  /**
   * What S3 knows of a job whose host cannot be asked, and that is not in the store here. `elsewhere`: that member has it
   * and is alive. Absent where S3 knows of no jobs.
   */
  seek?(id: string, caller: string | undefined, signal: AbortSignal): Promise<FoundJob>;
  /** Which results are given again, by the keys of what was asked. */
  readonly kept: CacheControl;
}

export interface DeskParts {
  /** This host. */
  readonly member: string;
  readonly store: Pick<JobStore, "get" | "result" | "list">;
  readonly lane: Pick<Lane, "accept" | "cancel" | "onEnd" | "typicalMs">;
  readonly runner: Pick<JobRunner, "name" | "outputKey">;
  readonly newId: () => string;
  /** As `JobDesk.models`; the first is asked for where an order names none. */
  readonly models: readonly [string, ...string[]] | undefined;
  /** A request that is longer cannot be handed over. */
  readonly requestBytesMost: number;
  readonly resultCache: CacheSettings;
  /** Undefined: a job is as durable as this host's disk. */
  readonly keeping?: JobKeeping;
  readonly clock: Clock;
  readonly random: Random;
}

export function createJobDesk(parts: DeskParts): JobDesk {
  const { member, store, lane, runner, models, keeping, clock, random } = parts;
  /** Of jobs that were done moments ago; the results themselves are in the store. */
  const kept = createTtlLru<string>(parts.resultCache, clock.now);
  let waiters = 0;

  const unavailable = (trouble: Trouble): DeskRefusal => storeRefusal(trouble.message, random);

  const see = (job: Job): SeenJob | DeskRefusal => {
    if (job.state !== "done") return { job, result: undefined };
    const result = store.result(job.id);
    return result.kind === "found" ? { job, result: result.value } : unavailable(result.trouble);
  };
  const as = <Kind extends "found" | "accepted" | "same" | "kept">(kind: Kind, job: Job) => {
    const seen = see(job);
    return "code" in seen ? seen : { kind, ...seen };
  };

  const secure =
    keeping &&
    createSecuring({
      member,
      store,
      keeping,
      outputKey: (job) => runner.outputKey(job),
      clock,
      random,
    });

  /** A job that is somebody else's is not there at all. */
  const look = (
    id: string,
    caller: string | undefined,
  ): { kind: "row"; job: Job } | Elsewhere | DeskRefusal => {
    const found = store.get(id);
    if (found.kind === "unavailable") return unavailable(found.trouble);
    if (found.value?.owner === (caller ?? null)) return { kind: "row", job: found.value };
    // What was adopted from another host is in the store under the name that it was given there.
    const owner = found.value === undefined ? readJobId(id)?.member : undefined;
    const isElsewhere = owner !== undefined && (owner !== member || keeping !== undefined);
    return isElsewhere ? { kind: "elsewhere", id, member: owner } : notFound;
  };

  const get = (id: string, caller: string | undefined): FoundJob => {
    const seen = look(id, caller);
    return seen.kind === "row" ? as("found", seen.job) : seen;
  };

  const seek = async (
    { seek: ask }: JobKeeping,
    id: string,
    caller: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<FoundJob> => {
    const sought = await inTime(clock, deskRule.seekMostMs, signal, (both) => ask(id, caller, both));
    return sought.kind === "held" ? { kind: "elsewhere", id, member: sought.member } : sought;
  };

  /** Of a job that had a row a moment ago: another host has taken it over. */
  const afterLoss = (id: string, caller: string | undefined): FoundJob | Promise<FoundJob> =>
    keeping === undefined ? notFound : seek(keeping, id, caller, undefined);

  /** The result of an order that asked the same, and was done moments ago. */
  const again = (key: string, caller: string | undefined) => {
    const found = kept.find(key);
    const job = found && get(found.value, caller);
    // It may have been forgotten since.
    return job?.kind === "found" && job.job.state === "done" ? { ...job, kind: "kept" as const } : undefined;
  };

  const keepWhenDone = (key: string, id: string): void => {
    lane.onEnd(id, () => {
      const ended = store.get(id);
      if (ended.kind === "found" && ended.value?.state === "done") kept.keep(key, id, deskRule.keptBytes);
    });
  };

  const answer = (accepted: Accepted): Ordered => {
    switch (accepted.kind) {
      case "stored":
        return as("accepted", accepted.job);
      case "same":
        return as("same", accepted.job);
      case "mismatch":
        return mismatch;
      case "full":
        return {
          kind: "refused",
          code: "tier_overloaded",
          message: `${accepted.limit} jobs are waiting here, which is as many as may. Try again later, or raise jobs.max_queued.`,
          retryAfterMs: retryAfterMs(lane.typicalMs() ?? storeRetryMs, random),
        };
      case "unavailable":
        return unavailable(accepted.trouble);
    }
  };

  return {
    runner: runner.name,
    durability: keeping === undefined ? "host" : "fleet",
    models,
    takes: (model) => models === undefined || model === undefined || models.includes(model),
    typicalMs: lane.typicalMs,

    async order(order) {
      const { caller, kind, modelName, ttlMs, idempotencyKey, reuse } = order;
      if (order.request.byteLength > parts.requestBytesMost) {
        return {
          kind: "refused",
          code: "request_too_large",
          message: `The request is ${order.request.byteLength} bytes long; a job's may have ${parts.requestBytesMost}.`,
        };
      }
      const model = order.model ?? models?.[0] ?? modelName ?? "bronze";
      const key = keptKey(kind, caller, model, reuse);
      // Who names a key of his own wants that job, and not one like it.
      const same =
        key === undefined || idempotencyKey !== undefined || reuse?.takesKept === false
          ? undefined
          : again(key, caller);
      if (same !== undefined) return same;
      const idempotency =
        idempotencyKey === undefined
          ? undefined
          : { caller: caller ?? null, key: idempotencyKey, bodyHash: hashOf(order) };
      // The names that callers have for tiers mean nothing to who is behind the lane.
      const request = models === undefined ? order.request : named(order.request, modelName, model);
      const owner = caller ?? null;
      const fresh = { id: parts.newId(), owner, kind, model, ttlMs, acceptedAtMs: clock.wallMs(), request };
      let { id } = fresh;
      if (secure !== undefined) {
        const secured = await secure(fresh, idempotency);
        if (secured.kind !== "secured") return secured;
        ({ id } = secured);
      }
      const accepted = lane.accept({ ...fresh, id }, idempotency);
      if (accepted.kind === "stored") {
        if (key !== undefined) keepWhenDone(key, id);
      } else if (keeping !== undefined && id === fresh.id && !("job" in accepted && accepted.job.id === id)) {
        // Nobody was told of it, so nobody need adopt it. Where this fails a peer may do work that nobody asks for.
        void inTime(clock, secureMostMs, undefined, (signal) =>
          keeping.manifests.close(id, { state: "cancelled" }, signal),
        );
      }
      return answer(accepted);
    },

    get,

    async wait(id, caller, waitMs, callerLeft) {
      const seen = look(id, caller);
      if (seen.kind !== "row") return seen;
      const isPointless = isEnd(seen.job.state) || !(waitMs > 0) || callerLeft.aborted;
      if (isPointless || waiters >= deskRule.waitersMost) return as("found", seen.job);
      waiters += 1;
      const ended = new Departure();
      const stopListening = lane.onEnd(id, () => ended.abort());
      await pause(clock, waitMs, callerLeft, ended);
      stopListening();
      waiters -= 1;
      const now = get(id, caller);
      return now.kind === "elsewhere" ? afterLoss(id, caller) : now;
    },

    list(caller, { status, after, limit }) {
      const found = store.list({
        owner: caller ?? null,
        limit,
        ...(status !== undefined && { status }),
        ...(after !== undefined && { after }),
      });
      return found.kind === "found" ? { kind: "listed", ...found.value } : unavailable(found.trouble);
    },

    async cancel(id, caller) {
      const seen = look(id, caller);
      if (seen.kind !== "row") return seen;
      const cancelled = await lane.cancel(id);
      switch (cancelled.kind) {
        case "moved":
          return as("found", cancelled.job);
        case "refused":
          return cancelled.job === undefined ? notFound : alreadyEnded;
        case "unavailable":
          return unavailable(cancelled.trouble);
        case "lost":
          return { kind: "elsewhere", id, member: cancelled.member };
        case "not-now":
          return storeRefusal(
            `The job could not be cancelled, and goes on. Try again. ${cancelled.why}`,
            random,
          );
      }
    },

    ...(keeping !== undefined && {
      seek: (id: string, caller: string | undefined, signal: AbortSignal) =>
        seek(keeping, id, caller, signal),
    }),

    kept,
  };
}

/** The caller's own bytes count: another spelling is another request. */
const hashOf = ({ kind, ttlMs, request }: JobOrder): string =>
  new Bun.CryptoHasher("sha256").update(`${kind} ${ttlMs}\n`).update(request).digest("hex");

/** The same for orders that one result can serve: same caller, same model, same meaning. Undefined: none but its own. */
function keptKey(
  kind: JobKind,
  caller: string | undefined,
  model: string,
  reuse: Reuse | undefined,
): string | undefined {
  const text = reuse && canonicalJson(reuse.parsed, "model");
  if (text === undefined) return undefined;
  return Bun.CryptoHasher.hash("sha256", `${JSON.stringify([kind, caller ?? null, model])}\n${text}`, "hex");
}

/** In the place of a desk whose store could not be opened: it answers why, and nothing else here is worse for it. */
export function createClosedDesk(
  trouble: Trouble,
  { runner, models, keeping, resultCache, clock, random }: Omit<DeskParts, "store" | "lane">,
): JobDesk {
  const refuse = (): DeskRefusal => storeRefusal(trouble.message, random);
  return {
    runner: runner.name,
    durability: keeping === undefined ? "host" : "fleet",
    models,
    takes: (model) => models === undefined || model === undefined || models.includes(model),
    typicalMs: () => undefined,
    order: () => Promise.resolve(refuse()),
    get: refuse,
    wait: () => Promise.resolve(refuse()),
    list: refuse,
    cancel: () => Promise.resolve(refuse()),
    kept: createTtlLru<string>(resultCache, clock.now),
  };
}
