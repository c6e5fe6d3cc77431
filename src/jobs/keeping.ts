// What makes jobs outlive their host, as desk and lane ask for it: keys for the whole fleet, manifests, leases, an end that is
// written into S3 before anybody sees it, and a look there for a job whose host cannot be asked.

import type { Clock } from "../base/clock.ts";
import { inTime } from "../base/in-time.ts";
import type { Random } from "../base/random.ts";
import { createClosing, readResult, resultGone } from "./closing.ts";
import type { DeskRefusal } from "./desk-refusal.ts";
import { notFound, storeRefusal } from "./desk-refusal.ts";
import type { Job, JobError } from "./job.ts";
import { noResultInTime } from "./job.ts";
import type { Claimed } from "./key-claims.ts";
import { claimKey } from "./key-claims.ts";
import type { Closing } from "./lane-ends.ts";
import type { Leases } from "./lease.ts";
import { createLeases } from "./lease.ts";
import type { Manifest, ManifestState } from "./manifest.ts";
import { manifestReachMs } from "./manifest.ts";
import type { ManifestPlaces, Manifests } from "./manifests.ts";
import { createManifests } from "./manifests.ts";
import type { KnownMember } from "./members.ts";
import { isPresent } from "./members.ts";
import type { Objects } from "./objects.ts";
import type { AnyEnding, Idempotency } from "./store.ts";

export const keepingRule = {
  /** Of S3, for an end: whoever cancels is waiting, and the lane tries again. */
  closeMostMs: 5_000,
  /** The same of a job that is done: whose result took so long to read needs as long to put it there. */
  settleMostMs: 60_000,
} as const;

export type Sought =
  | { readonly kind: "found"; readonly job: Job; readonly result: Uint8Array | undefined }
  /** It goes on there; `job` is as S3 knows it. */
  | { readonly kind: "held"; readonly member: string; readonly job: Job }
  | DeskRefusal;

export interface JobKeeping {
  /** An idempotency key, for the whole fleet. */
  claim(idempotency: Idempotency, id: string, signal: AbortSignal): Promise<Claimed>;
  readonly manifests: Manifests;
  readonly leases: Leases;
  /** As the lane asks before it writes an end. Within `closeMostMs`, with a result `settleMostMs`; never rejects. */
  closing(job: Job, end: AnyEnding, signal: AbortSignal): Promise<Closing>;
  /** Whether that host is heard of, so that it can be asked. */
  isHere(member: string): boolean;
  /** A job that has no row here, by what S3 knows of it; another caller's is not there at all. */
  seek(id: string, caller: string | undefined, signal: AbortSignal): Promise<Sought>;
}

export interface KeepingParts {
  readonly places: ManifestPlaces;
  /** This host. */
  readonly member: string;
  /** All of the fleet that are heard of. */
  readonly members: () => readonly KnownMember[];
  readonly objects: Objects;
  readonly clock: Clock;
  readonly random: Random;
}

export function createKeeping(parts: KeepingParts): JobKeeping {
  const { places, member, members, objects, clock, random } = parts;
  const manifests = createManifests(places, member, objects);
  const close = createClosing(places.manifests, manifests, objects);
  const isHere = (name: string): boolean => members().some((each) => each.name === name && isPresent(each));

  const found = async (manifest: Manifest, signal: AbortSignal): Promise<Sought> => {
    // What was withdrawn was never accepted.
    if (manifest.state === "withdrawn") return notFound;
    const job = jobOf(manifest, manifest.state, clock.wallMs());
    if (job.state !== "done") return { kind: "found", job, result: undefined };
    const read = await readResult(objects, manifest.outputKey, signal);
    if (read.kind === "missing") return { ...notFound, message: resultGone(manifest.outputKey) };
    if (read.kind === "trouble") return unread(read.why, random);
    return { kind: "found", job, result: read.bytes };
  };

  return {
    claim: (idempotency, id, signal) => claimKey(places.manifests, idempotency, id, objects, signal),
    manifests,
    leases: createLeases(places.manifests, member, objects, clock),
    isHere,

    async closing(job, end, signal) {
      const mostMs = end.to === "done" ? keepingRule.settleMostMs : keepingRule.closeMostMs;
      const closed = await inTime(clock, mostMs, signal, (both) => close(job, end, both));
      if (closed.kind !== "trouble") return closed;
      const why = `The end of the job could not be written into S3 (${closed.trouble}): ${closed.why}`;
      return { kind: "again", about: "job", afterMs: 0, why };
    },

    async seek(id, caller, signal) {
      const seen = await manifests.read(id, signal);
      if (seen.kind === "missing") return notFound;
      if (seen.kind === "trouble") return unread(seen.why, random);
      const { manifest } = seen;
      if (manifest.owner !== (caller ?? null)) return notFound;
      // Should it be held here it has no row, so it is waiting to be taken up.
      if (manifest.state === "open" && manifest.member !== member && isHere(manifest.member)) {
        return { kind: "held", member: manifest.member, job: { ...knownOf(manifest), state: "accepted" } };
      }
      return await found(manifest, signal);
    },
  };
}

/** Of a job that nobody holds who is alive; if it is open it waits for somebody to adopt it, and to look for its result. */
function jobOf(manifest: Manifest, state: Exclude<ManifestState, "withdrawn">, wallMs: number): Job {
  const job = knownOf(manifest);
  if (state !== "open") return { ...job, state };
  const { acceptedAtMs, ttlMs } = manifest;
  if (wallMs <= acceptedAtMs + manifestReachMs) return { ...job, state: "accepted" };
  return { ...job, state: "expired", error: neverAdopted, endedAtMs: acceptedAtMs + ttlMs };
}

const neverAdopted: JobError = {
  code: noResultInTime.code,
  message:
    "The host that had this job was lost, and no other was there to take it up before it was too late. Whether it was done is not known; nobody looks for its result any more.",
};

function knownOf({ member: _member, input: _input, state: _state, ...known }: Manifest): Omit<Job, "state"> {
  return { ...known, attempt: 0, recoveries: 0 };
}

const unread = (why: string, random: Random): DeskRefusal =>
  storeRefusal(
    `The host that has the job cannot be asked, and S3, which knows of it, did not answer. Try again. ${why}`,
    random,
  );
