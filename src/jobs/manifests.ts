// The second life of jobs outside their host: the input and a manifest that names it, in S3 before a job is accepted, so
// that another host can adopt it. Who writes a manifest on the condition that nobody else has since, holds the job. Knows
// S3 only as `Objects`; when to adopt is its caller's.

import type { JobEnd } from "./job.ts";
import { readJobId, timeText, ulidOf } from "./job-id.ts";
import { inputPlace, keptPlace, plainName } from "./job-places.ts";
import { listNames } from "./list-names.ts";
import type { Manifest, ManifestState } from "./manifest.ts";
import { endOf, readManifest, wireOf } from "./manifest.ts";
import type { CallTrouble, ObjectPlace, Objects } from "./objects.ts";
import { below, readKnown, readS3Url, s3Url } from "./objects.ts";
import type { NewJob } from "./store.ts";
import { unstreamed } from "./unstreamed.ts";

/** Ids and names: ten times what a manifest takes. */
const manifestBytesMost = 16 * 1024;

/** Whoever adopts a job reads its input whole. */
export const inputBytesMost = 64 * 1024 * 1024;

/** Two conditional writes at one time may both be sent back; then again. */
const writeTriesMost = 3;

/** `lost`: the host that has it is another. `missing`: there is no manifest of a job that was accepted. */
export type Lost = { readonly kind: "lost"; readonly member: string } | { readonly kind: "missing" };

export type Seen =
  | { readonly kind: "found"; readonly manifest: Manifest; readonly etag: string }
  | { readonly kind: "missing" }
  | CallTrouble;

export type Taken =
  | { readonly kind: "taken"; readonly manifest: Manifest; readonly request: Uint8Array }
  /** It is this host's, and nobody can do it any more: what was asked is not there. */
  | { readonly kind: "input-gone"; readonly why: string }
  | { readonly kind: "ended"; readonly manifest: Manifest }
  | Lost
  | CallTrouble;

export type Withdrawn =
  | { readonly kind: "withdrawn" }
  /** Another host has it, or it has ended. */
  | { readonly kind: "not-ours" }
  | CallTrouble;

export type Closed =
  /** The end that stands there now: the wished one, or one of before. */
  | { readonly kind: "closed"; readonly end: JobEnd }
  | { readonly kind: "lost"; readonly member: string }
  | CallTrouble;

export interface Manifests {
  /**
   * Input, then manifest; undefined: both are there, and only then may the job be accepted. Once more with the same job
   * changes nothing; what was kept before and not accepted is accepted as of now, by whoever keeps it if it was withdrawn.
   * Of many hosts that keep a job of one id, one has it.
   */
  keep(job: NewJob, signal: AbortSignal): Promise<CallTrouble | undefined>;
  /**
   * Of a job that was not accepted: nobody takes it up until it is kept once more, and what `keep` has sent and nobody has
   * heard of comes to nothing.
   */
  withdraw(job: NamedJob, signal: AbortSignal): Promise<Withdrawn>;
  read(id: string, signal: AbortSignal): Promise<Seen>;
  /**
   * Before an end is shown to anybody: a host that has lost the job learns it here, and must forget it. Where there is no
   * manifest nobody could have adopted the job, and the end is as wished.
   */
  close(id: string, end: JobEnd, signal: AbortSignal): Promise<Closed>;
  /** The job of a member that is dead and whose lease is over. Of many who try, one gets it. */
  take(id: string, dead: string, signal: AbortSignal): Promise<Taken>;
  /** The ids that a member may hold, from its own acceptances and its adoptions, accepted at or after that time. */
  heldBy(member: string, sinceMs: number, signal: AbortSignal): Promise<HeldIds>;
}

/** `isCut`: there are more than can be listed. */
export type HeldIds =
  | { readonly kind: "held"; readonly ids: readonly string[]; readonly isCut: boolean }
  | CallTrouble;

/** What a manifest says of a job, and no bytes. */
export type NamedJob = Omit<NewJob, "request">;

export interface ManifestPlaces {
  readonly manifests: ObjectPlace;
  readonly input: ObjectPlace;
}

/** `member`: this host. */
export function createManifests(places: ManifestPlaces, member: string, objects: Objects): Manifests {
  const put = (
    place: ObjectPlace,
    what: object,
    condition: Parameters<Objects["put"]>[2],
    signal: AbortSignal,
  ) => objects.put(place, Buffer.from(JSON.stringify(what)), condition, signal);

  const manifestPlace = (id: string): ObjectPlace => keptPlace(places.manifests, "jobs", id);
  /** Says that somebody meant to adopt it; whether he did is in the manifest. */
  const adoptionPlace = (by: string, id: string): ObjectPlace =>
    below(places.manifests, "adopted", plainName(by), `${ulidOf(id)}.${readJobId(id)?.member ?? ""}`);

  const read = async (id: string, signal: AbortSignal): Promise<Seen> => {
    const place = manifestPlace(id);
    const found = await readKnown(objects, place, manifestBytesMost, signal);
    if (found.kind !== "found") return found;
    const manifest = readManifest(found.bytes);
    if (manifest?.id !== id) return unreadable(place, "is no manifest of this job");
    return { kind: "found", manifest, etag: found.etag };
  };

  const ours = (job: NamedJob, state: ManifestState, fence: number): Manifest => ({
    ...job,
    member,
    fence,
    state,
    input: s3Url(inputPlace(places.input, job)),
  });

  return {
    async keep({ request, ...job }, signal) {
      const input = inputPlace(places.input, job);
      const stored = await objects.put(input, unstreamed(request), "absent", signal);
      if (stored.kind === "trouble") return stored;
      // Named by a host that died before it had accepted the job: it is found among those that we have from others.
      if (readJobId(job.id)?.member !== member) {
        const traced = await put(adoptionPlace(member, job.id), { id: job.id }, "always", signal);
        if (traced.kind === "trouble") return traced;
      }
      const written = await put(manifestPlace(job.id), wireOf(ours(job, "open", 1)), "absent", signal);
      if (written.kind === "stored") return undefined;
      if (written.kind === "trouble") return written;
      // Overtaken: by ourselves, an hour ago or when an answer was lost, or by who had named the job and lives after all.
      const seen = await read(job.id, signal);
      if (seen.kind === "trouble") return seen;
      const before = seen.kind === "found" ? seen : undefined;
      const isWithdrawn = before?.manifest.state === "withdrawn";
      if (before !== undefined && (isWithdrawn || before.manifest.member === member)) {
        const { state, fence, acceptedAtMs } = before.manifest;
        if (!isWithdrawn && (state !== "open" || acceptedAtMs === job.acceptedAtMs)) return undefined;
        const renewed = await put(
          manifestPlace(job.id),
          wireOf(ours(job, "open", isWithdrawn ? fence + 1 : fence)),
          { etag: before.etag },
          signal,
        );
        if (renewed.kind === "stored") return undefined;
        if (renewed.kind === "trouble") return renewed;
      }
      return { kind: "trouble", trouble: "server", why: "Another host takes the job just now." };
    },

    read,

    async withdraw(job, signal) {
      for (let tries = 0; tries < writeTriesMost; tries += 1) {
        const seen = await read(job.id, signal);
        if (seen.kind === "trouble") return seen;
        const before = seen.kind === "found" ? seen : undefined;
        if (
          before !== undefined &&
          (before.manifest.member !== member || endOf(before.manifest) !== undefined)
        )
          return { kind: "not-ours" };
        // Written also where it stands so already, or not at all: with a new version a write that is on its way is too late.
        const withdrawn = ours(job, "withdrawn", (before?.manifest.fence ?? 0) + 1);
        const condition = before === undefined ? "absent" : { etag: before.etag };
        const written = await put(manifestPlace(job.id), wireOf(withdrawn), condition, signal);
        if (written.kind === "trouble") return written;
        if (written.kind === "stored") return { kind: "withdrawn" };
      }
      return { kind: "trouble", trouble: "server", why: `${s3Url(manifestPlace(job.id))} cannot be written` };
    },

    async close(id, wished, signal) {
      const end = { ...wished, endedAtMs: Math.round(wished.endedAtMs) };
      for (let tries = 0; tries < writeTriesMost; tries += 1) {
        const seen = await read(id, signal);
        if (seen.kind === "missing") return { kind: "closed", end };
        if (seen.kind === "trouble") return seen;
        const { manifest, etag } = seen;
        if (manifest.member !== member) return { kind: "lost", member: manifest.member };
        const before = endOf(manifest);
        if (before !== undefined) return { kind: "closed", end: before };
        const closed = await put(manifestPlace(id), wireOf({ ...manifest, ...end }), { etag }, signal);
        if (closed.kind === "trouble") return closed;
        // Overtaken: by whom, the manifest tells.
        if (closed.kind === "stored") return { kind: "closed", end };
      }
      return { kind: "trouble", trouble: "server", why: `${s3Url(manifestPlace(id))} cannot be written` };
    },

    async take(id, dead, signal) {
      const seen = await read(id, signal);
      if (seen.kind !== "found") return seen;
      const { manifest, etag } = seen;
      if (manifest.state === "withdrawn") return { kind: "missing" };
      if (manifest.state !== "open") return { kind: "ended", manifest };
      const isOurs = manifest.member === member;
      if (!isOurs && manifest.member !== dead) return { kind: "lost", member: manifest.member };
      const place = readS3Url(manifest.input);
      if (place === undefined) return unreadable(manifestPlace(id), "names no input");
      const input = await readKnown(objects, place, inputBytesMost, signal);
      if (input.kind === "trouble") return input;
      const takenAs = (taken: Manifest): Taken =>
        input.kind === "missing"
          ? { kind: "input-gone", why: `${s3Url(place)} is named by a manifest, and is not there` }
          : { kind: "taken", manifest: taken, request: input.bytes };
      // Ours already: the answer to an earlier try was lost, or this host crashed before it had written the job down.
      if (isOurs) return takenAs(manifest);
      // First the trace, then the deed: should we die in between, a trace without a deed is harmless.
      const traced = await put(adoptionPlace(member, id), { id }, "always", signal);
      if (traced.kind === "trouble") return traced;
      const mine: Manifest = { ...manifest, member, fence: manifest.fence + 1 };
      const taken = await put(manifestPlace(id), wireOf(mine), { etag }, signal);
      if (taken.kind === "trouble") return taken;
      if (taken.kind === "stored") return takenAs(mine);
      const winner = await read(id, signal);
      return winner.kind === "found" ? { kind: "lost", member: winner.manifest.member } : winner;
    },

    async heldBy(of, sinceMs, signal) {
      const since = timeText(Math.max(0, Math.floor(sinceMs)));
      const own = await listNames(objects, below(places.manifests, "jobs", plainName(of)), since, signal);
      if (own.kind === "trouble") return own;
      const traces = below(places.manifests, "adopted", plainName(of));
      const adopted = await listNames(objects, traces, since, signal);
      if (adopted.kind === "trouble") return adopted;
      const ids = own.names.map((ulid) => `job_${of}_${ulid}`);
      for (const name of adopted.names) {
        const dot = name.indexOf(".");
        ids.push(`job_${name.slice(dot + 1)}_${name.slice(0, dot)}`);
      }
      const isCut = own.isCut || adopted.isCut;
      return { kind: "held", ids: ids.filter((id) => readJobId(id) !== undefined), isCut };
    },
  };
}

const unreadable = (place: ObjectPlace, what: string): CallTrouble => ({
  kind: "trouble",
  trouble: "refused",
  why: `${s3Url(place)} ${what}`,
});
