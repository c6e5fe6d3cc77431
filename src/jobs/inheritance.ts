// Adopts the jobs of hosts that are gone: whose jobs there are to adopt, which of them are this host's to try first, and
// the trying. That exactly one of many gets a job is the manifest's doing; here is only who bothers, and when.

import type { Clock, Instant } from "../base/clock.ts";
import { hash32, mix32 } from "../base/hash32.ts";
import { inTime } from "../base/in-time.ts";
import { someAtOnce } from "../base/some-at-once.ts";
import { timeText, ulidOf } from "./job-id.ts";
import { plainName } from "./job-places.ts";
import type { KeeperEvent } from "./keeper-event.ts";
import type { Lane } from "./lane.ts";
import type { Leases } from "./lease.ts";
import { leaseRule } from "./lease.ts";
import { manifestReachMs } from "./manifest.ts";
import type { Manifests } from "./manifests.ts";
import type { KnownMember } from "./members.ts";
import { isPresent } from "./members.ts";
import type { CallTrouble } from "./objects.ts";

export const inheritanceRule = {
  /** Of what S3 is asked about one job: with the largest of requests. */
  callMostMs: 20_000,
  /** Of a list of many pages. */
  listMostMs: 60_000,
  callsAtOnce: 16,
  /** Who is next in line for a job tries so much later; the first has then taken it, or is gone too. */
  perRankMs: 3_000,
  /** So many hosts try for one job. With all of them gone the rest begin anew. */
  heirsMost: 4,
  /** Hosts that gossip has forgotten are found by their leases alone. */
  listEveryMs: 10 * 60_000,
  /** Ids that are gone through before others have the loop: for each the store may be asked. */
  idsAtOnce: 100,
} as const;

export interface InheritanceParts {
  readonly leases: Pick<Leases, "read" | "list">;
  readonly manifests: Pick<Manifests, "heldBy" | "take">;
  readonly lane: Pick<Lane, "adopt">;
  /** Whether there is a row for the job here, ended or not; true where that cannot be said. */
  readonly knows: (id: string) => boolean;
  readonly members: () => readonly KnownMember[];
  readonly member: string;
  readonly clock: Clock;
  readonly tell: (event: KeeperEvent) => void;
}

export interface Inheritance {
  /** Does what is due. Answers the first trouble with S3, after which it is best left alone for a while. */
  round(signal: AbortSignal): Promise<CallTrouble | undefined>;
  adopted(): number;
}

/** A host that is gone, and what it may have left. Names are as in S3, where every name has been made plain. */
interface Estate {
  readonly name: string;
  /** As it calls itself. */
  member: string;
  dueAt: Instant;
  /** The lease as it was first read: one that stays as it is runs out, whatever clock it was written by. */
  lease: { readonly untilMs: number; readonly seenAt: Instant } | undefined;
  /** Who was to share its jobs when they were listed; undefined: they were not. */
  heirs: ReadonlySet<string> | undefined;
}

interface Wanted {
  readonly id: string;
  readonly estate: Estate;
  readonly dueAt: Instant;
}

/** Asks S3, within `callMostMs` or as said. */
type Call = <Answer>(ask: (signal: AbortSignal) => Promise<Answer>, limitMs?: number) => Promise<Answer>;

export function createInheritance(parts: InheritanceParts): Inheritance {
  const { leases, manifests, lane, knows, members, clock, tell } = parts;
  const self = plainName(parts.member);
  const startedAt = timeText(Math.floor(clock.wallMs()));
  const estates = new Map<string, Estate>();
  const wanted = new Map<string, Wanted>();
  /** Whoever has a lease in S3: only those can take jobs. */
  let lessees: ReadonlySet<string> = new Set();
  let listAt = clock.now();
  let adopted = 0;
  let trouble: CallTrouble | undefined;

  // Whose jobs.

  function open(name: string, member: string): void {
    if (estates.has(name)) return;
    estates.set(name, { name, member, dueAt: clock.now(), lease: undefined, heirs: undefined });
  }

  function forget(estate: Estate): void {
    estates.delete(estate.name);
    for (const { id, estate: of } of wanted.values()) if (of === estate) wanted.delete(id);
  }

  /** Who comes back keeps what is left of its jobs. Where an heir goes, its share is somebody else's. */
  function look(): void {
    const present = new Set([self]);
    for (const each of members()) {
      const name = plainName(each.name);
      if (isPresent(each)) present.add(name);
      else if (!estates.has(name)) {
        open(name, each.name);
        // Who is to share them: whoever has a lease by now.
        listAt = clock.now();
      }
    }
    for (const name of lessees) if (!present.has(name)) open(name, name);
    for (const estate of estates.values()) {
      if (estate.name === self) continue;
      if (present.has(estate.name)) forget(estate);
      else if (estate.heirs?.isSubsetOf(present) === false) {
        estate.heirs = undefined;
        estate.dueAt = clock.now();
      }
    }
  }

  async function list(call: Call): Promise<void> {
    const listed = await call(leases.list, inheritanceRule.listMostMs);
    if (listed.kind === "trouble") {
      trouble = listed;
      return;
    }
    lessees = new Set(listed.names);
    listAt = clock.now() + inheritanceRule.listEveryMs;
  }

  // Which jobs.

  /** How long the host may still think itself the holder; undefined: nobody knows. */
  async function leftMs(estate: Estate, call: Call): Promise<number | undefined> {
    if (estate.name === self) return 0;
    const lease = await call((signal) => leases.read(estate.name, signal));
    if (lease.kind === "trouble") {
      if (lease.trouble === "refused") {
        tell({ kind: "trouble", why: lease.why });
        return inheritanceRule.listEveryMs;
      }
      trouble ??= lease;
      return undefined;
    }
    if (lease.kind === "missing") return 0;
    estate.member = lease.member;
    if (estate.lease?.untilMs !== lease.untilMs) {
      estate.lease = { untilMs: lease.untilMs, seenAt: clock.now() };
      estate.heirs = undefined;
    }
    // Nothing that it accepted before can still be waiting.
    if (clock.wallMs() > lease.untilMs + manifestReachMs) return Number.POSITIVE_INFINITY;
    const unchangedMs = clock.now() - (estate.lease?.seenAt ?? clock.now());
    return Math.max(0, Math.min(lease.leftMs, leaseRule.lengthMs + leaseRule.skewMs - unchangedMs));
  }

  async function lookThrough(estate: Estate, call: Call): Promise<void> {
    const waitMs = await leftMs(estate, call);
    if (waitMs === undefined) return;
    estate.dueAt = clock.now() + (waitMs > 0 ? waitMs : inheritanceRule.listEveryMs);
    if (waitMs > 0 || estate.heirs !== undefined) return;
    const sinceMs = clock.wallMs() - manifestReachMs;
    const held = await call(
      (signal) => manifests.heldBy(estate.member, sinceMs, signal),
      inheritanceRule.listMostMs,
    );
    if (held.kind === "trouble") {
      trouble ??= held;
      estate.dueAt = clock.now();
      return;
    }
    if (held.isCut) tell({ kind: "list-cut", member: estate.member });
    estate.heirs = heirsNow();
    for (const [index, id] of held.ids.entries()) {
      if (index % inheritanceRule.idsAtOnce === 0) await pause();
      want(id, estate, estate.heirs);
    }
  }

  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      clock.after(0, resolve);
    });

  /** This host, and whoever else can take jobs. */
  function heirsNow(): ReadonlySet<string> {
    const alive = members().filter(({ state }) => state === "alive");
    return new Set([self, ...alive.map(({ name }) => plainName(name)).filter((name) => lessees.has(name))]);
  }

  function want(id: string, estate: Estate, heirs: ReadonlySet<string>): void {
    const isOwn = estate.name === self;
    // Its own of before, which a lost disk has forgotten; of those of this run the desk knows more.
    if (isOwn && ulidOf(id) >= startedAt) return;
    const rank = isOwn ? 0 : rankOf(self, heirs, id);
    if (rank >= inheritanceRule.heirsMost || knows(id)) return;
    wanted.set(id, { id, estate, dueAt: clock.now() + rank * inheritanceRule.perRankMs });
  }

  // Taking them.

  async function take({ id, estate }: Wanted, call: Call): Promise<void> {
    // Its host has come back since.
    if (trouble !== undefined || !wanted.has(id)) return;
    const taken = await call((signal) => manifests.take(id, estate.member, signal));
    if (taken.kind === "trouble" && taken.trouble !== "refused") {
      trouble ??= taken;
      return;
    }
    if (taken.kind === "taken") {
      const { manifest, request } = taken;
      const { owner, kind, model, ttlMs, acceptedAtMs, outputKey } = manifest;
      const stored = lane.adopt({ id, owner, kind, model, ttlMs, acceptedAtMs, outputKey, request });
      if (stored.kind === "unavailable" || stored.kind === "full") {
        // It is ours now, so nobody else will.
        const why = stored.kind === "full" ? "The job file is full." : stored.trouble.message;
        trouble ??= { kind: "trouble", trouble: "server", why };
        return;
      }
      if (stored.kind === "stored") {
        adopted += 1;
        tell({ kind: "adopted", id, from: estate.member });
      }
    }
    if (taken.kind === "trouble") tell({ kind: "unadoptable", id, why: taken.why });
    wanted.delete(id);
  }

  open(self, parts.member);

  return {
    async round(signal) {
      trouble = undefined;
      const call: Call = (ask, limitMs = inheritanceRule.callMostMs) => inTime(clock, limitMs, signal, ask);
      const isOn = (): boolean => trouble === undefined && !signal.aborted;
      look();
      if (clock.now() >= listAt) {
        await list(call);
        look();
      }
      const isDue = ({ dueAt }: Estate | Wanted): boolean => dueAt <= clock.now();
      await someAtOnce([...estates.values()].filter(isDue), inheritanceRule.callsAtOnce, async (estate) => {
        if (isOn()) await lookThrough(estate, call);
      });
      const due = [...wanted.values()].filter(isDue).sort(newestFirst);
      await someAtOnce(due, inheritanceRule.callsAtOnce, async (job) => {
        if (isOn()) await take(job, call);
      });
      return trouble;
    },
    adopted: () => adopted,
  };
}

/** 0: nobody comes before it. The same for all who know the same heirs. */
export function rankOf(own: string, heirs: ReadonlySet<string>, id: string): number {
  const job = hash32(id);
  const score = mix32(job, hash32(own));
  let rank = 0;
  for (const heir of heirs) if (mix32(job, hash32(heir)) > score) rank += 1;
  return rank;
}

/** The old ones have mostly ended. */
const newestFirst = (one: Wanted, other: Wanted): number => (ulidOf(one.id) < ulidOf(other.id) ? 1 : -1);
