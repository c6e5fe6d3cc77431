// The table of members: the one owner of what this router believes of the others, and of its own claim.
// It merges claims and lets suspicions run out. Whom to talk to, and when, is for gossip.ts.

import type { Instant } from "../base/clock.ts";
import type { Claim, MemberState } from "./claim.ts";
import { accusersMost, memberStates, weightOf } from "./claim.ts";
import type { Damping } from "./damping.ts";
import { createDamping } from "./damping.ts";
import type { Member, MembershipEvent } from "./member.ts";
import type { DigestRow, Sender } from "./messages.ts";
import { messageBounds } from "./messages.ts";
import { createOwnName } from "./own-name.ts";
import { precedence } from "./precedence.ts";
import { suspicionMs } from "./suspicion.ts";
import type { Tellable } from "./telling.ts";
import { betterThan, digestOf, newest } from "./telling.ts";

export const membershipRule = {
  /** The dead and the gone are remembered so long, so that old news of them is known for old. */
  tombstoneMs: 10 * 60_000,
  /** Whom we have heard so lately is not held for dead because somebody says so. */
  evidenceMs: 2000,
} as const;

export interface MembershipCounters {
  /** Claims about an earlier incarnation. */
  stale: number;
  /** Claims about new names for which there was no room. */
  overfull: number;
}

export interface Membership {
  /** What we say of ourselves. */
  readonly self: Claim;
  /** Another run of our name has won: we must fall silent. */
  readonly yielded: boolean;
  readonly counters: Readonly<MembershipCounters>;
  /** Ourselves included. */
  all(): readonly Member[];
  named(name: string): Member | undefined;
  /** Names of the others that are claimed alive or suspect. */
  others(): readonly string[];
  /** Alive and suspect, ourselves included. */
  size(): number;
  /** Takes over what is news. `heardFrom` is who sent it. */
  merge(claims: readonly Claim[], heardFrom: string, now: Instant): void;
  /** A message or answer of its own came in. */
  heard(from: Sender, now: Instant): void;
  /** Our own probe found it unreachable. */
  accuse(name: string, why: string, now: Instant): void;
  /** Declares the suspects dead whose time is over. `lateMs`: so long we were not there to hear them speak up. */
  sweep(now: Instant, lateMs: number): void;
  /** False where it is larger than peers would take; the last version stays. */
  publish(meta: unknown, now: Instant): boolean;
  leave(now: Instant): void;
  digest(): readonly DigestRow[];
  /** What we know better than the sender of that digest, newest first, as much as one message holds. */
  betterThan(digest: readonly DigestRow[]): { claims: readonly Claim[]; more: boolean };
  /** Our own claim and the newest of the rest, at most `most`. */
  news(now: Instant, most: number): readonly Claim[];
}

interface Row extends Tellable {
  claim: Claim;
  digest: DigestRow;
  state: MemberState;
  stateSince: Instant;
  metaAt: Instant;
  heardAt: Instant | undefined;
  claimedSince: Instant;
  changedAt: Instant;
  /** Somebody called it dead: no more waiting for confirmations than the least. */
  confirmed: boolean;
  damping: Damping;
}

export function createMembership(
  first: Claim,
  tell: (event: MembershipEvent) => void,
  now: Instant,
): Membership {
  const rows = new Map<string, Row>();
  /** Those that the sweep must look at: not claimed alive, or not held for what they claim. */
  const troubled = new Set<Row>();
  const counters: MembershipCounters = { stale: 0, overfull: 0 };
  let yielded = false;
  let leaving = false;
  const ownName = createOwnName();
  /** All but ourselves, the one that changed last behind the others. */
  const byChange = new Set<Row>();
  let cachedDigest: readonly DigestRow[] | undefined;
  let cachedAll: readonly Row[] | undefined;
  let cachedOthers: readonly string[] | undefined;

  const self = newRow(first, now);
  rows.set(first.name, self);

  const changed = (row: Row, at: Instant): void => {
    row.changedAt = at;
    cachedDigest = undefined;
    if (row === self) return;
    byChange.delete(row);
    byChange.add(row);
  };

  const replace = (row: Row, claim: Claim, at: Instant): void => {
    if (claim.state !== row.claim.state) {
      row.claimedSince = at;
      row.confirmed = false;
      cachedOthers = undefined;
    }
    row.claim = claim;
    row.digest = digestOf(claim);
    changed(row, at);
  };

  /** Moves what the member is held for. Answers whether it changed. */
  const hold = (row: Row, state: MemberState, at: Instant): boolean => {
    if (row.state === state) return false;
    const better = memberStates.indexOf(state) < memberStates.indexOf(row.state);
    if (better && row.state !== "left" && !row.damping.admits(at)) return false;
    row.state = state;
    row.stateSince = at;
    return true;
  };

  const watch = (row: Row): void => {
    if (row.claim.state === "alive" && row.state === "alive") troubled.delete(row);
    else troubled.add(row);
  };

  /** The claimed state has changed; hold the member for it and say so. */
  const settle = (row: Row, heardFrom: string | undefined, at: Instant): void => {
    const { claim } = row;
    const changed = hold(row, claim.state, at);
    watch(row);
    if (!changed) return;
    const by = claim.accusers?.[0] ?? heardFrom ?? self.claim.name;
    const why = claim.why ?? "no reason given";
    if (claim.state === "suspect") tell({ kind: "suspected", member: row, by, why });
    else if (claim.state === "dead") tell({ kind: "dead", member: row, by, why, heardFrom });
    else tell({ kind: claim.state === "left" ? "left" : "refuted", member: row });
  };

  const speakUp = (atLeast: number, at: Instant): void => {
    replace(self, { ...self.claim, incarnation: atLeast + 1 }, at);
    self.claimedSince = at;
  };

  const mergeSelf = (heard: Claim, heardFrom: string, at: Instant): void => {
    const answer = ownName.hear(heard, self.claim);
    if (answer === "nothing") return;
    const { name, address } = self.claim;
    if (answer === "yield") {
      yielded = true;
      tell({ kind: "conflict", name, winner: heard.address, loser: address, yielded });
      return;
    }
    speakUp(heard.incarnation, at);
    const { incarnation } = self.claim;
    const by = heard.accusers?.[0] ?? heardFrom;
    if (answer === "refute") tell({ kind: "accused", by, why: heard.why ?? "no reason given", incarnation });
    if (answer === "contest")
      tell({ kind: "conflict", name, winner: address, loser: heard.address, yielded });
  };

  const meet = (heard: Claim, heardFrom: string, at: Instant): void => {
    // Who never knew it needs no tombstone; taking it over would keep it in circulation for ever.
    if (heard.state === "dead" || heard.state === "left") return;
    if (rows.size >= messageBounds.members) {
      counters.overfull += 1;
      return;
    }
    const row = newRow({ ...heard, state: "alive" }, at);
    rows.set(heard.name, row);
    changed(row, at);
    cachedAll = undefined;
    cachedOthers = undefined;
    tell({ kind: "joined", member: row });
    if (heard.state === "suspect") {
      replace(row, heard, at);
      settle(row, heardFrom, at);
    }
  };

  /**
   * Another's "dead" about somebody whom we hold for alive is an accusation, not a verdict: after a partition each
   * half would bury the other. Who has been heard lately is not even accused; it will speak up by itself.
   */
  const asHearsay = (heard: Claim, row: Row, at: Instant): Claim => {
    const doubted = row.claim.state === "suspect" || row.claim.state === "dead";
    if (heard.state !== "dead" || (doubted && heard.incarnation === row.claim.incarnation)) return heard;
    const evidence = row.heardAt !== undefined && at - row.heardAt < membershipRule.evidenceMs;
    if (!evidence || heard.boot !== row.claim.boot) return { ...heard, state: "suspect" };
    const { accusers, why, ...rest } = heard;
    return { ...rest, state: "alive" };
  };

  const mergeOther = (heard: Claim, heardFrom: string, at: Instant): void => {
    const row = rows.get(heard.name);
    if (row === undefined) {
      meet(heard, heardFrom, at);
      return;
    }
    const known = row.claim;
    switch (precedence(heard, known)) {
      case "stale":
        counters.stale += 1;
        return;
      case "same":
        break;
      case "graver": {
        const judged = asHearsay(heard, row, at);
        if (weightOf(judged) < weightOf(known)) return;
        const accusers = [...new Set([...(known.accusers ?? []), ...(judged.accusers ?? [])])];
        const why = known.why ?? judged.why;
        const news = {
          ...withMetaOf(judged, known),
          ...(judged.state === "left" ? {} : { accusers: accusers.slice(0, accusersMost) }),
          ...(why === undefined ? {} : { why }),
        };
        if (sameState(news, known)) break;
        replace(row, news, at);
        if (heard.state === "dead" && judged.state === "suspect") row.confirmed = true;
        settle(row, heardFrom, at);
        break;
      }
      case "newer":
      case "usurped": {
        const judged = asHearsay(heard, row, at);
        const restarted = heard.boot !== known.boot;
        const moved = heard.address !== known.address;
        const was = row.state;
        const wasClaimed = known.state;
        // A new life: what was known of the old one says nothing about it.
        replace(row, restarted ? judged : withMetaOf(judged, known), at);
        row.claimedSince = at;
        row.confirmed = heard.state === "dead";
        if (restarted) row.heardAt = undefined;
        if (restarted || judged.seq > known.seq) row.metaAt = at;
        if (restarted && moved && (wasClaimed === "alive" || wasClaimed === "suspect")) {
          const { name, address } = heard;
          tell({ kind: "conflict", name, winner: address, loser: known.address, yielded: false });
        } else if (restarted) {
          // Its restart says that it is back; that it has spoken up as well would be said of the life that is over.
          if (judged.state === "alive") hold(row, "alive", at);
          tell({ kind: "restarted", member: row });
        }
        settle(row, heardFrom, at);
        if (was === row.state && (restarted || judged.seq > known.seq))
          tell({ kind: "updated", member: row });
        return;
      }
    }
    takeMeta(row, heard, at);
  };

  const takeMeta = (row: Row, heard: Claim, at: Instant): void => {
    const { claim } = row;
    if (heard.seq <= claim.seq || !("meta" in heard)) return;
    const nothingBesides = claim.state === "alive" && heard.state === "alive";
    replace(row, nothingBesides ? heard : judgedAs(claim, heard), at);
    row.metaAt = at;
    tell({ kind: "updated", member: row });
  };

  const others = (): readonly string[] => {
    cachedOthers ??= [...rows.values()]
      .filter((row) => row !== self && (row.claim.state === "alive" || row.claim.state === "suspect"))
      .map((row) => row.claim.name);
    return cachedOthers;
  };
  const size = (): number => others().length + 1;

  return {
    get self() {
      return self.claim;
    },
    get yielded() {
      return yielded;
    },
    counters,
    all() {
      cachedAll ??= [...rows.values()];
      return cachedAll;
    },
    named: (name) => rows.get(name),
    others,
    size,
    merge(claims, heardFrom, at) {
      for (const claim of claims) {
        if (yielded) return;
        if (claim.name !== self.claim.name) mergeOther(claim, heardFrom, at);
        else if (!leaving) mergeSelf(claim, heardFrom, at);
      }
    },
    heard(from, at) {
      const row = rows.get(from.name);
      if (row !== undefined && row !== self && row.claim.boot === from.boot) row.heardAt = at;
    },
    accuse(name, why, at) {
      const row = rows.get(name);
      if (row === undefined || row === self) return;
      const { claim } = row;
      const accusers = claim.accusers ?? [];
      if (claim.state === "alive") {
        // Peers do not read a claim with a longer text.
        const cut = why.slice(0, messageBounds.textLength);
        replace(row, { ...claim, state: "suspect", accusers: [self.claim.name], why: cut }, at);
        settle(row, undefined, at);
      } else if (claim.state === "suspect" && accusers.length < accusersMost) {
        if (accusers.includes(self.claim.name)) return;
        replace(row, { ...claim, accusers: [...accusers, self.claim.name] }, at);
      }
    },
    sweep(at, lateMs) {
      const members = size();
      for (const row of [...troubled]) {
        const { claim } = row;
        if (claim.state === "alive") {
          const until = row.damping.heldUntil;
          if (until !== undefined && at >= until) settle(row, undefined, at);
        } else if (claim.state === "suspect") {
          row.claimedSince += lateMs;
          const confirmations = row.confirmed ? accusersMost - 1 : (claim.accusers?.length ?? 1) - 1;
          if (at - row.claimedSince < suspicionMs(members, confirmations)) continue;
          replace(row, { ...claim, state: "dead" }, at);
          settle(row, undefined, at);
        } else if (at - row.claimedSince >= membershipRule.tombstoneMs) {
          troubled.delete(row);
          rows.delete(claim.name);
          byChange.delete(row);
          cachedAll = undefined;
          cachedDigest = undefined;
          tell({ kind: "forgotten", member: row });
        }
      }
    },
    publish(meta, at) {
      if (JSON.stringify(meta).length > messageBounds.metaBytes) return false;
      replace(self, { ...self.claim, meta, seq: self.claim.seq + 1 }, at);
      self.metaAt = at;
      return true;
    },
    leave(at) {
      leaving = true;
      replace(self, { ...self.claim, state: "left" }, at);
      self.state = "left";
      self.stateSince = at;
    },
    digest() {
      cachedDigest ??= Array.from(rows.values(), (row) => row.digest);
      return cachedDigest;
    },
    betterThan: (digest) => betterThan(rows, digest),
    news: (at, most) => [self.claim, ...newest(byChange, at, Math.max(0, most - 1))],
  };
}

function newRow(claim: Claim, now: Instant): Row {
  return {
    claim,
    digest: digestOf(claim),
    state: claim.state,
    stateSince: now,
    metaAt: now,
    heardAt: undefined,
    claimedSince: now,
    changedAt: now,
    confirmed: false,
    damping: createDamping(),
  };
}

/** A judgement travels with the newest meta that either side has. */
function withMetaOf(judged: Claim, known: Claim): Claim {
  if (judged.seq > known.seq && "meta" in judged) return judged;
  return "meta" in known ? { ...judged, seq: known.seq, meta: known.meta } : { ...judged, seq: known.seq };
}

/** What it says of itself now, under the judgement that was passed before. */
function judgedAs({ state, accusers, why }: Claim, heard: Claim): Claim {
  const { state: _, accusers: __, why: ___, ...rest } = heard;
  return {
    ...rest,
    state,
    ...(accusers === undefined ? {} : { accusers }),
    ...(why === undefined ? {} : { why }),
  };
}

const sameState = (a: Claim, b: Claim): boolean =>
  a.state === b.state && (a.accusers?.length ?? 0) === (b.accusers?.length ?? 0);
