// How an order becomes a job: what was done moments ago is given again, a key that is known is the same job, and what is
// new is secured, stored and only then accepted.

import type { CacheControl, CacheSettings } from "../base/cache-control.ts";
import { canonicalJson } from "../base/canonical-json.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { createTtlLru } from "../base/ttl-lru.ts";
import type { Reuse } from "../dispatch/reuse.ts";
import { retryAfterMs } from "../routing/admission.ts";
import type { JobDesk, JobOrder, Ordered, SeenJob } from "./desk.ts";
import type { DeskRefusal } from "./desk-refusal.ts";
import { mismatch, storeRefusal, storeRetryMs } from "./desk-refusal.ts";
import type { Job, JobKind } from "./job.ts";
import type { JobKeeping } from "./keeping.ts";
import type { Lane } from "./lane.ts";
import { named } from "./named.ts";
import type { JobRunner } from "./runner.ts";
import type { Accept } from "./secure.ts";
import { createSecuring } from "./secure.ts";
import type { Accepted, JobStore } from "./store.ts";
import type { Crowded } from "./together.ts";

/** Of a kept result: a hash and an id, and what a map needs for them. */
const keptBytes = 512;

export interface OrderParts {
  /** This host. */
  readonly member: string;
  readonly store: Pick<JobStore, "get">;
  readonly lane: Pick<Lane, "accept" | "onEnd" | "typicalMs">;
  readonly runner: Pick<JobRunner, "outputKey">;
  readonly newId: () => string;
  /** As `JobDesk.models`; the first is asked for where an order names none. */
  readonly models: readonly [string, ...string[]] | undefined;
  /** A request that is longer cannot be handed over. */
  readonly requestBytesMost: number;
  readonly resultCache: CacheSettings;
  /** Undefined: a job is as durable as this host's disk. */
  readonly keeping?: JobKeeping;
  /** With the result, where it has one. */
  readonly see: (job: Job) => SeenJob | DeskRefusal;
  readonly clock: Clock;
  readonly random: Random;
}

export interface Orders {
  readonly order: JobDesk["order"];
  /** Which results are given again, by the keys of what was asked. */
  readonly kept: CacheControl;
}

export function createOrders(parts: OrderParts): Orders {
  const { member, store, lane, runner, models, keeping, see, clock, random } = parts;
  /** Of jobs that were done moments ago; the results themselves are in the store. */
  const kept = createTtlLru<string>(parts.resultCache, clock.now);

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

  const as = (kind: "accepted" | "same", job: Job): Ordered => {
    const seen = see(job);
    return "code" in seen ? seen : { kind, ...seen };
  };

  /** The result of an order that asked the same, and was done moments ago. */
  const again = (key: string): Ordered | undefined => {
    const id = kept.find(key)?.value;
    const row = id === undefined ? undefined : store.get(id);
    // It may have been forgotten since.
    if (row?.kind !== "found" || row.value?.state !== "done") return undefined;
    const seen = see(row.value);
    return "code" in seen ? undefined : { kind: "known-result", ...seen };
  };

  const keepWhenDone = (key: string, id: string): void => {
    lane.onEnd(id, () => {
      const ended = store.get(id);
      if (ended.kind === "found" && ended.value?.state === "done") kept.keep(key, id, keptBytes);
    });
  };

  const overloaded = (message: string): DeskRefusal => ({
    kind: "refused",
    code: "tier_overloaded",
    message,
    retryAfterMs: retryAfterMs(lane.typicalMs() ?? storeRetryMs, random),
  });

  const answer = (accepted: Accepted | Crowded): Ordered => {
    switch (accepted.kind) {
      case "stored":
        return as("accepted", accepted.job);
      case "same":
        return as("same", accepted.job);
      case "mismatch":
        return mismatch;
      case "full":
        if (accepted.of === "owner") {
          return overloaded(
            `${accepted.limit} jobs of this key are waiting here, half of what may wait in all, and no key may have more of them. Try again when some have ended, or raise jobs.max_queued.`,
          );
        }
        return overloaded(
          `${accepted.limit} jobs are waiting here, which is as many as may. Try again later, or raise jobs.max_queued.`,
        );
      case "crowded":
        return overloaded(
          "More jobs arrive here than the disk takes at once. Try again later, or hand them in more slowly.",
        );
      case "unavailable":
        return storeRefusal(accepted.trouble.message, random);
    }
  };

  return {
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
      const known =
        key === undefined || idempotencyKey !== undefined || reuse?.takesKept === false
          ? undefined
          : again(key);
      if (known !== undefined) return known;
      const idempotency =
        idempotencyKey === undefined
          ? undefined
          : { caller: caller ?? null, key: idempotencyKey, bodyHash: hashOf(order) };
      // The names that callers have for tiers mean nothing to who is behind the lane.
      const request = models === undefined ? order.request : named(order.request, modelName, model);
      const fresh = { id: parts.newId(), owner: caller ?? null, kind, model, ttlMs, request };
      const accept: Accept = async (job) => {
        const accepted = await lane.accept(job, idempotency);
        if (accepted.kind === "stored" && key !== undefined) keepWhenDone(key, job.id);
        return accepted;
      };
      if (secure === undefined) return answer(await accept({ ...fresh, acceptedAtMs: clock.wallMs() }));
      const secured = await secure(fresh, idempotency, accept);
      return secured.kind === "asked" ? answer(secured.accepted) : secured;
    },

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
