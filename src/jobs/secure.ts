// What S3 must hold before anybody may be told that a job is accepted: its idempotency key for the whole fleet, its input
// and its manifest.

import type { Clock } from "../base/clock.ts";
import { inTime } from "../base/in-time.ts";
import type { Random } from "../base/random.ts";
import type { DeskRefusal } from "./desk-refusal.ts";
import { mismatch, storeRefusal } from "./desk-refusal.ts";
import { readJobId } from "./job-id.ts";
import type { JobKeeping } from "./keeping.ts";
import type { Idempotency, JobStore, NewJob } from "./store.ts";

/** Of S3; a caller is waiting. */
export const secureMostMs = 5_000;

/** `id`: the job's own, or the one that the key stood for before. */
export type Secured =
  | { readonly kind: "secured"; readonly id: string }
  /** The key stands for a job that another host answers for, or S3 alone. */
  | { readonly kind: "elsewhere"; readonly id: string; readonly member: string }
  | DeskRefusal;

export interface SecureParts {
  readonly member: string;
  readonly store: Pick<JobStore, "get">;
  readonly keeping: JobKeeping;
  /** Where the runner will put the result. */
  readonly outputKey: (job: Pick<NewJob, "id" | "acceptedAtMs">) => string;
  readonly clock: Clock;
  readonly random: Random;
}

export function createSecuring({ member, store, keeping, outputKey, clock, random }: SecureParts) {
  const { claim, manifests } = keeping;

  const notSecured = (why: string): DeskRefusal =>
    storeRefusal(
      `The job could not be put where it would survive the loss of this host, so it was not accepted. ${why}`,
      random,
    );

  /** Of a job that the key stood for before. `unknown`: it was never accepted, and there is nobody else to do it. */
  const known = async (id: string, signal: AbortSignal): Promise<Secured | "unknown"> => {
    const before = store.get(id);
    if (before.kind === "unavailable") return storeRefusal(before.trouble.message, random);
    // Also what was adopted from another host.
    if (before.value !== undefined) return { kind: "secured", id };
    const owner = readJobId(id)?.member;
    if (owner !== undefined && owner !== member && keeping.isHere(owner))
      return { kind: "elsewhere", id, member: owner };
    const seen = await manifests.read(id, signal);
    if (seen.kind === "trouble") return notSecured(seen.why);
    if (seen.kind === "missing") return "unknown";
    const { manifest } = seen;
    // We crashed between keeping and accepting it, or had no place for it.
    if (manifest.member === member && manifest.state === "open") return "unknown";
    return { kind: "elsewhere", id, member: manifest.member };
  };

  const secure = async (
    job: Omit<NewJob, "outputKey">,
    idempotency: Idempotency | undefined,
    signal: AbortSignal,
  ): Promise<Secured> => {
    let { id } = job;
    if (idempotency !== undefined) {
      const claimed = await claim(idempotency, id, signal);
      if (claimed.kind === "mismatch") return mismatch;
      if (claimed.kind === "trouble") return notSecured(claimed.why);
      if (claimed.kind === "same") {
        ({ id } = claimed);
        const before = await known(id, signal);
        if (before !== "unknown") return before;
      }
    }
    // A key keeps its id whoever keeps the job, so that the manifest of that id, put once, is what makes it one job.
    const trouble = await manifests.keep({ ...job, id, outputKey: outputKey({ ...job, id }) }, signal);
    return trouble === undefined ? { kind: "secured", id } : notSecured(trouble.why);
  };

  return {
    keep: (job: Omit<NewJob, "outputKey">, idempotency: Idempotency | undefined): Promise<Secured> =>
      inTime(clock, secureMostMs, undefined, (signal) => secure(job, idempotency, signal)),

    /**
     * Of a job without a key that was kept and not accepted: nobody was told of it, so nobody need adopt it. Never rejects:
     * where this fails a peer may do work that nobody asks for.
     */
    async giveUp(id: string): Promise<void> {
      await inTime(clock, secureMostMs, undefined, (signal) =>
        manifests.close(id, { state: "cancelled", endedAtMs: clock.wallMs() }, signal),
      ).catch(() => undefined);
    },
  };
}
