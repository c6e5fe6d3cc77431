// The jobs of hosts that are gone: whose there are to adopt, which of them are this host's to try first, and the
// trying. That exactly one of many gets a job is the manifest's doing; here is only who bothers, and when.

import type { Clock, Instant } from "../base/clock.ts";
import { hash32, mix32 } from "../base/hash32.ts";
import { inTime } from "../base/in-time.ts";
import { pause } from "../base/pause.ts";
import { someAtOnce } from "../base/some-at-once.ts";
import type { AdoptionEvent } from "./adoption-event.ts";
import type { JobError } from "./job.ts";
import { newestFirst, timeText, ulidOf } from "./job-id.ts";
import { plainName } from "./job-places.ts";
import type { JobKeeping } from "./keeping.ts";
import type { Lane } from "./lane.ts";
import { leaseRule } from "./lease.ts";
import { manifestReachMs } from "./manifest.ts";
import type { KnownMember } from "./members.ts";
import { isPresent } from "./members.ts";
import type { CallTrouble } from "./objects.ts";
import type { JobStore } from "./store.ts";

export const goneHostsRule = {
  /** Of what S3 is asked about one job: with the largest of requests. */
  callMostMs: 20_000,
  /** Of a list of many pages. */
  listMostMs: 60_000,
  callsAtOnce: 16,
  /** Who is next in line for a job tries so much later; the first has then taken it, or is gone too. */
  perRankMs: 3_000,
  /** So many hosts try for one job. With all of them gone the rest begin anew. */
  adoptersMost: 4,
  /** Hosts that gossip has forgotten are found by their leases alone. */
  listEveryMs: 10 * 60_000,
  /** Ids that are gone through before others have the loop: for each the store may be asked. */
  idsAtOnce: 100,
} as const;

export interface GoneHostsParts {
  readonly keeping: Pick<JobKeeping, "leases" | "manifests">;
  readonly lane: Pick<Lane, "adopt">;
  readonly store: Pick<JobStore, "get">;
  readonly members: () => readonly KnownMember[];
  readonly member: string;
  readonly clock: Clock;
  readonly tell: (event: AdoptionEvent) => void;
}

export interface GoneHosts {
  /** Does what is due. Answers the first trouble with S3, after which it is best left alone for a while. */
  round(signal: AbortSignal): Promise<CallTrouble | undefined>;
}

/** A host that is gone, and what it may have left. Names are as in S3, where every name has been made plain. */
interface GoneHost {
  readonly name: string;
  /** As it calls itself. */
  member: string;
  dueAt: Instant;
  /** The lease as it was first read: one that stays as it is runs out, whatever clock it was written by. */
  lease: { readonly untilMs: number; readonly seenAt: Instant } | undefined;
  /** Who was to share its jobs when they were listed; undefined: they were not. */
  adopters: ReadonlySet<string> | undefined;
}

interface Wanted {
  readonly id: string;
  readonly host: GoneHost;
  readonly dueAt: Instant;
  /** It may be ours in S3 already, whatever came back: nobody else will do it then, not even its host. */
  isTried: boolean;
}

/** Asks S3, within `callMostMs` or as said. */
type Call = <Answer>(ask: (signal: AbortSignal) => Promise<Answer>, limitMs?: number) => Promise<Answer>;

export function createGoneHosts(parts: GoneHostsParts): GoneHosts {
  const { keeping, lane, store, members, clock, tell } = parts;
  const { leases, manifests } = keeping;
  const self = plainName(parts.member);
  const startedAt = timeText(Math.floor(clock.wallMs()));
  /** This one among them, for what it held before its disk was lost. */
  const gone = new Map<string, GoneHost>();
  const wanted = new Map<string, Wanted>();
  /** Whoever has a lease in S3: only those can take jobs. */
  let leaseHolders: ReadonlySet<string> = new Set();
  let listAt = clock.now();
  let trouble: CallTrouble | undefined;

  // Whose jobs.

  function open(name: string, member: string): void {
    if (gone.has(name)) return;
    gone.set(name, { name, member, dueAt: clock.now(), lease: undefined, adopters: undefined });
  }

  function forget(host: GoneHost): void {
    gone.delete(host.name);
    for (const { id, host: of, isTried } of wanted.values()) if (of === host && !isTried) wanted.delete(id);
  }

  /** Who comes back keeps what is left of its jobs. Where an adopter goes, its share is somebody else's. */
  function look(): void {
    const present = new Set([self]);
    for (const each of members()) {
      const name = plainName(each.name);
      if (isPresent(each)) present.add(name);
      else if (!gone.has(name)) {
        open(name, each.name);
        // Who is to share them: whoever has a lease by now.
        listAt = clock.now();
      }
    }
    for (const name of leaseHolders) if (!present.has(name)) open(name, name);
    for (const host of gone.values()) {
      if (host.name === self) continue;
      if (present.has(host.name)) forget(host);
      else if (host.adopters?.isSubsetOf(present) === false) {
        host.adopters = undefined;
        host.dueAt = clock.now();
      }
    }
  }

  async function list(call: Call): Promise<void> {
    const listed = await call(leases.list, goneHostsRule.listMostMs);
    if (listed.kind === "trouble") {
      trouble = listed;
      return;
    }
    leaseHolders = new Set(listed.names);
    listAt = clock.now() + goneHostsRule.listEveryMs;
  }

  // Which jobs.

  /** How long the host may still think itself the holder; undefined: nobody knows. */
  async function leftMs(host: GoneHost, call: Call): Promise<number | undefined> {
    if (host.name === self) return 0;
    const lease = await call((signal) => leases.read(host.name, signal));
    if (lease.kind === "trouble") {
      if (lease.trouble === "refused") {
        tell({ kind: "trouble", why: lease.why });
        return goneHostsRule.listEveryMs;
      }
      trouble ??= lease;
      return undefined;
    }
    if (lease.kind === "missing") return 0;
    host.member = lease.member;
    if (host.lease?.untilMs !== lease.untilMs) {
      host.lease = { untilMs: lease.untilMs, seenAt: clock.now() };
      host.adopters = undefined;
    }
    // Nothing that it accepted before can still be waiting.
    if (clock.wallMs() > lease.untilMs + manifestReachMs) return Number.POSITIVE_INFINITY;
    const unchangedMs = clock.now() - (host.lease?.seenAt ?? clock.now());
    return Math.max(0, Math.min(lease.leftMs, leaseRule.lengthMs + leaseRule.skewMs - unchangedMs));
  }

  async function lookThrough(host: GoneHost, call: Call): Promise<void> {
    const waitMs = await leftMs(host, call);
    if (waitMs === undefined) return;
    host.dueAt = clock.now() + (waitMs > 0 ? waitMs : goneHostsRule.listEveryMs);
    if (waitMs > 0 || host.adopters !== undefined) return;
    const sinceMs = clock.wallMs() - manifestReachMs;
    const held = await call(
      (signal) => manifests.heldBy(host.member, sinceMs, signal),
      goneHostsRule.listMostMs,
    );
    if (held.kind === "trouble") {
      trouble ??= held;
      host.dueAt = clock.now();
      return;
    }
    if (held.isCut) tell({ kind: "list-cut", member: host.member });
    host.adopters = adoptersNow();
    for (const [index, id] of held.ids.entries()) {
      if (index % goneHostsRule.idsAtOnce === 0) await pause(clock, 0);
      want(id, host, host.adopters);
    }
  }

  /** This host, and whoever else can take jobs. */
  function adoptersNow(): ReadonlySet<string> {
    const alive = members().filter(({ state }) => state === "alive");
    return new Set([
      self,
      ...alive.map(({ name }) => plainName(name)).filter((name) => leaseHolders.has(name)),
    ]);
  }

  function want(id: string, host: GoneHost, adopters: ReadonlySet<string>): void {
    const isOwn = host.name === self;
    // Its own jobs from before a lost disk; those accepted since the start are in the store.
    if (isOwn && ulidOf(id) >= startedAt) return;
    const rank = isOwn ? 0 : rankOf(self, adopters, id);
    if (rank >= goneHostsRule.adoptersMost || mayKnow(id)) return;
    const isTried = wanted.get(id)?.isTried === true;
    wanted.set(id, { id, host, dueAt: clock.now() + rank * goneHostsRule.perRankMs, isTried });
  }

  /** Whether there is a row for the job here, ended or not; true where that cannot be said. */
  function mayKnow(id: string): boolean {
    const found = store.get(id);
    return found.kind === "unavailable" || found.value !== undefined;
  }

  // Taking them.

  async function take(job: Wanted, call: Call): Promise<void> {
    const { id, host } = job;
    // From a host that has come back since: only what is ours already.
    const from = gone.get(host.name) === host ? host.member : parts.member;
    job.isTried = true;
    const taken = await call((signal) => manifests.take(id, from, signal));
    if (taken.kind === "trouble" && taken.trouble !== "refused") {
      trouble ??= taken;
      return;
    }
    if (taken.kind === "input-gone") {
      // Who asks for it is told so, and need not wait for the end of its ttl.
      const end = { state: "failed", error: inputGone, endedAtMs: clock.wallMs() } as const;
      const closed = await call((signal) => manifests.close(id, end, signal));
      if (closed.kind === "trouble" && closed.trouble !== "refused") {
        trouble ??= closed;
        return;
      }
    }
    if (taken.kind === "taken") {
      const { manifest, request } = taken;
      const { owner, kind, model, ttlMs, acceptedAtMs, outputKey } = manifest;
      const stored = await lane.adopt({ id, owner, kind, model, ttlMs, acceptedAtMs, outputKey, request });
      if (stored.kind === "unavailable" || stored.kind === "full" || stored.kind === "crowded") {
        // It is ours now, so nobody else will.
        const why =
          stored.kind === "unavailable" ? stored.trouble.message : "The job file takes no more just now.";
        trouble ??= { kind: "trouble", trouble: "server", why };
        return;
      }
      if (stored.kind === "stored") tell({ kind: "adopted", id, from: host.member });
    }
    if (taken.kind === "trouble" || taken.kind === "input-gone")
      tell({ kind: "unadoptable", id, why: taken.why });
    wanted.delete(id);
  }

  open(self, parts.member);

  return {
    async round(signal) {
      trouble = undefined;
      const call: Call = (ask, limitMs = goneHostsRule.callMostMs) => inTime(clock, limitMs, signal, ask);
      const isOn = (): boolean => trouble === undefined && !signal.aborted;
      look();
      if (clock.now() >= listAt) {
        await list(call);
        look();
      }
      const isDue = ({ dueAt }: GoneHost | Wanted): boolean => dueAt <= clock.now();
      await someAtOnce([...gone.values()].filter(isDue), goneHostsRule.callsAtOnce, async (host) => {
        if (isOn()) await lookThrough(host, call);
      });
      // The old ones have mostly ended.
      const due = [...wanted.values()].filter(isDue).sort(newestFirst);
      await someAtOnce(due, goneHostsRule.callsAtOnce, async (job) => {
        if (isOn()) await take(job, call);
      });
      return trouble;
    },
  };
}

const inputGone: JobError = {
  code: "job_input_lost",
  message:
    "The host that had this job was lost, and what was asked is not in S3 any more, so no other could do it. Order it again, and let no rule of the bucket delete inputs within a day.",
};

/** 0: nobody comes before it. The same for all who know the same adopters. */
export function rankOf(own: string, adopters: ReadonlySet<string>, id: string): number {
  const job = hash32(id);
  const score = mix32(job, hash32(own));
  let rank = 0;
  for (const adopter of adopters) if (mix32(job, hash32(adopter)) > score) rank += 1;
  return rank;
}
