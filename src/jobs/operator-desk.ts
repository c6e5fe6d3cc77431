// What an operator may do with the jobs of this host, whoever their caller is: look, cancel, have one done anew.

import type { Random } from "../base/random.ts";
import type { FoundJob, JobDesk, ListedJobs, Ordered } from "./desk.ts";
import { notFound, storeRefusal } from "./desk-refusal.ts";
import { isEnd } from "./job.ts";
import type { JobQuery, JobStore } from "./store.ts";

export type Retried =
  | Ordered
  /** It has its result, or has not ended, and so need not be done anew. */
  | { readonly kind: "needless"; readonly why: string };

export interface OperatorDesk {
  /** Without an `owner` those of all callers. */
  list(query: JobQuery): ListedJobs;
  get(id: string): FoundJob;
  /** A job that has ended is refused. */
  cancel(id: string): Promise<FoundJob>;
  /** Orders the same work once more, as a new job of the same caller; the old one stays as it ended. */
  retry(id: string): Promise<Retried>;
}

export interface OperatorDeskParts {
  /** Undefined where it could not be opened: the callers' desk says why. */
  readonly store: Pick<JobStore, "get" | "toDo" | "list"> | undefined;
  /** The callers' own. */
  readonly desk: Pick<JobDesk, "get" | "list" | "cancel" | "order">;
  readonly random: Random;
}

export function createOperatorDesk({ store, desk, random }: OperatorDeskParts): OperatorDesk {
  /** In whose name the desk is asked. What has no row here is for the desk to explain. */
  const callerOf = (id: string): string | undefined => {
    const found = store?.get(id);
    return found?.kind === "found" ? (found.value?.owner ?? undefined) : undefined;
  };

  return {
    list(query) {
      if (store === undefined) return desk.list(undefined, query);
      const found = store.list(query);
      return found.kind === "found"
        ? { kind: "listed", ...found.value }
        : storeRefusal(found.trouble.message, random);
    },

    get: (id) => desk.get(id, callerOf(id)),
    cancel: (id) => desk.cancel(id, callerOf(id)),

    async retry(id) {
      const caller = callerOf(id);
      const seen = desk.get(id, caller);
      if (seen.kind !== "found") return seen;
      const { state, kind, model, ttlMs } = seen.job;
      if (!isEnd(state)) return { kind: "needless", why: "The job has not ended; cancel it first." };
      if (state === "done")
        return { kind: "needless", why: "The job has succeeded, and its result is kept." };
      const found = store?.toDo(id);
      if (found?.kind === "unavailable") return storeRefusal(found.trouble.message, random);
      // It was there a moment ago, and may have been forgotten since.
      if (found?.value === undefined) return notFound;
      // The model's name is in the request since the first order.
      return desk.order({ caller, kind, model, modelName: model, request: found.value.request, ttlMs });
    },
  };
}
