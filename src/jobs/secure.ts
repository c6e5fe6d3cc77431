// What S3 must hold before anybody may be told that a job is accepted: its idempotency key for the whole fleet, its input
// and its manifest. What is refused for all that is withdrawn there, so that nobody does it for a caller who was told no.

import type { BackoffRule } from "../base/backoff.ts";
import { backoffMs } from "../base/backoff.ts";
import type { Clock } from "../base/clock.ts";
import { inTime } from "../base/in-time.ts";
import { pause } from "../base/pause.ts";
import type { Random } from "../base/random.ts";
import type { DeskRefusal } from "./desk-refusal.ts";
import { mismatch, storeRefusal } from "./desk-refusal.ts";
import { createInTurn } from "./in-turn.ts";
import { readJobId } from "./job-id.ts";
import type { JobKeeping } from "./keeping.ts";
import type { NamedJob, Withdrawn } from "./manifests.ts";
import type { CallTrouble } from "./objects.ts";
import type { Accepted, Idempotency, JobStore, NewJob } from "./store.ts";
import type { Crowded } from "./together.ts";

export const secureRule = {
  /** Of S3; a caller is waiting. */
  keepMostMs: 5_000,
  /** The same, on top, for a job that is refused. */
  withdrawMostMs: 2_000,
  /** Nobody waits for these. */
  againMostMs: 5_000,
  againTries: 4,
  /** Jobs that S3 may still hold. Of more the rest is left as it is: after a restart, or at a peer, they may be done. */
  doubtfulMost: 1_000,
} as const;

const withdrawAgain: BackoffRule = { baseMs: 5_000, capMs: 60_000, jitter: 0.2 };

export type Secured =
  /** `accepted`: the store's word on the job that is in S3; what it refused is withdrawn. */
  | { readonly kind: "asked"; readonly accepted: Accepted | Crowded }
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

export type Order = Omit<NewJob, "outputKey" | "acceptedAtMs">;

/** Writes it down. */
export type Accept = (job: Omit<NewJob, "outputKey">) => Promise<Accepted | Crowded>;

/** What stands for it in S3. */
type Kept =
  /** `isNew`: nobody can have been told of it before. */
  | { readonly kind: "kept"; readonly id: string; readonly isNew: boolean }
  | {
      readonly kind: "not-kept";
      readonly trouble: CallTrouble;
      /** There may be a manifest, or come to be one that was sent, and this order alone has sent it. */
      readonly ours?: NamedJob;
    }
  | { readonly kind: "elsewhere"; readonly id: string; readonly member: string }
  | DeskRefusal;

/** `same`: the job that this host's own key stands for may be another than the one that S3 has of it. */
const isOf = (accepted: Accepted | Crowded, id: string): boolean =>
  (accepted.kind === "stored" || accepted.kind === "same") && accepted.job.id === id;

/** Of who has stood so long behind others of the same key; they are why. */
const stoodInLine: CallTrouble = { kind: "trouble", trouble: "cut", why: "others were before it" };

export function createSecuring({ member, store, keeping, outputKey, clock, random }: SecureParts) {
  const { claim, manifests } = keeping;
  const inTurn = createInTurn();
  /** Refused, and not withdrawn yet. */
  const doubtful = new Map<string, NamedJob>();

  const named = ({ request: _bytes, ...job }: Omit<NewJob, "outputKey">): NamedJob => ({
    ...job,
    outputKey: outputKey(job),
  });

  /** Of a job that the key stood for before. `unknown`: it was not accepted here, and nobody else is there to do it. */
  const known = async (
    id: string,
    signal: AbortSignal,
  ): Promise<Kept | { readonly kind: "unknown"; readonly isOpen: boolean }> => {
    const before = store.get(id);
    if (before.kind === "unavailable") return storeRefusal(before.trouble.message, random);
    // Also what was adopted from another host.
    if (before.value !== undefined) return { kind: "kept", id, isNew: false };
    const owner = readJobId(id)?.member;
    if (owner !== undefined && owner !== member && keeping.isHere(owner))
      return { kind: "elsewhere", id, member: owner };
    const seen = await manifests.read(id, signal);
    if (seen.kind === "trouble") return { kind: "not-kept", trouble: seen };
    if (seen.kind === "missing" || seen.manifest.state === "withdrawn")
      return { kind: "unknown", isOpen: false };
    const { manifest } = seen;
    // We crashed between keeping and accepting it, or have lost our disk since.
    if (manifest.member === member && manifest.state === "open") return { kind: "unknown", isOpen: true };
    return { kind: "elsewhere", id, member: manifest.member };
  };

  const keep = async (
    job: Omit<NewJob, "outputKey">,
    idempotency: Idempotency | undefined,
    signal: AbortSignal,
  ): Promise<Kept> => {
    let { id } = job;
    let isNew = true;
    if (idempotency !== undefined) {
      const claimed = await claim(idempotency, id, signal);
      if (claimed.kind === "mismatch") return mismatch;
      // Whether the key stands for a job that was accepted before is not known either.
      if (claimed.kind === "trouble") return { kind: "not-kept", trouble: claimed };
      if (claimed.kind === "same") {
        ({ id } = claimed);
        const before = await known(id, signal);
        if (before.kind !== "unknown") return before;
        const wasDoubtful = doubtful.delete(id);
        // A manifest that is open may be of a job that was accepted, and lost with our disk.
        isNew = wasDoubtful || !before.isOpen;
      }
    }
    // A key keeps its id whoever keeps the job, so that the manifest of that id, put once, is what makes it one job.
    const whole = { ...job, id, outputKey: outputKey({ ...job, id }) };
    const trouble = await manifests.keep(whole, signal);
    if (trouble === undefined) return { kind: "kept", id, isNew };
    return { kind: "not-kept", trouble, ...(isNew && { ours: named(whole) }) };
  };

  // Taking it back.

  /** Within `mostMs`. Never rejects. */
  const tryToWithdraw = (job: NamedJob, mostMs: number): Promise<Withdrawn["kind"]> =>
    inTime(clock, mostMs, undefined, (signal) => manifests.withdraw(job, signal)).then(
      ({ kind }) => kind,
      () => "trouble",
    );

  /** Whether nobody does it now. The turn of its key is its caller's. */
  async function withdraw(job: NamedJob, turn: string): Promise<boolean> {
    const withdrawn = await tryToWithdraw(job, secureRule.withdrawMostMs);
    if (withdrawn === "trouble" && doubtful.size < secureRule.doubtfulMost) {
      doubtful.set(job.id, job);
      void withdrawLater(job, turn);
    }
    return withdrawn === "withdrawn";
  }

  /** Ends when it is ordered anew: its fate is that order's then. */
  async function withdrawLater(job: NamedJob, turn: string): Promise<void> {
    const isDoubtful = (): boolean => doubtful.get(job.id) === job;
    for (let tries = 0; tries < secureRule.againTries && isDoubtful(); tries += 1) {
      await pause(clock, backoffMs(withdrawAgain, tries, random));
      await inTurn(turn, async () => {
        if (!isDoubtful()) return;
        const withdrawn = await tryToWithdraw(job, secureRule.againMostMs);
        if (withdrawn !== "trouble") doubtful.delete(job.id);
      });
    }
    if (isDoubtful()) doubtful.delete(job.id);
  }

  /** What happened, what has become of the job, and what to do. */
  function notAccepted({ trouble, why }: CallTrouble, isGone: boolean, hasKey: boolean): DeskRefusal {
    const what =
      trouble === "cut"
        ? `S3, which must hold a job before it is accepted, did not take this one within ${secureRule.keepMostMs / 1000} s, so it was not accepted.`
        : `The job could not be put where it would survive the loss of this host, so it was not accepted. ${why}`;
    const fate = isGone
      ? "Nobody does it unless you ask again, which is safe."
      : "Whether it will be done all the same is not known.";
    const advice = hasKey
      ? "Ask again with the same Idempotency-Key: it is the same job."
      : "Ask again with an Idempotency-Key, and it is one job however often you ask.";
    return storeRefusal(`${what} ${fate} ${advice}`, random);
  }

  /** One after the other for one key: an order must not be withdrawn by one that was refused a moment before. */
  return (order: Order, idempotency: Idempotency | undefined, accept: Accept): Promise<Secured> => {
    const turn = idempotency === undefined ? order.id : JSON.stringify([idempotency.caller, idempotency.key]);
    const askedAt = clock.now();
    return inTurn(turn, async () => {
      // Callers whose patience is shorter ask again and again, and nobody is to wait for all of them.
      if (clock.now() - askedAt >= secureRule.keepMostMs) return notAccepted(stoodInLine, false, true);
      const job = { ...order, acceptedAtMs: clock.wallMs() };
      const kept = await inTime(clock, secureRule.keepMostMs, undefined, (signal) =>
        keep(job, idempotency, signal),
      );
      if (kept.kind === "not-kept") {
        const isGone = kept.ours !== undefined && (await withdraw(kept.ours, turn));
        return notAccepted(kept.trouble, isGone, idempotency !== undefined);
      }
      if (kept.kind !== "kept") return kept;
      const whole = { ...job, id: kept.id };
      const accepted = await accept(whole);
      if (kept.isNew && !isOf(accepted, kept.id)) await withdraw(named(whole), turn);
      return { kind: "asked", accepted };
    });
  };
}
