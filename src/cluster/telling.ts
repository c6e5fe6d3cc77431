// What of the table goes into a message: the digest, what its sender lacks, and what is newest. Arithmetic over rows that
// belong to membership.ts, on the way of every message, so nothing here looks at the whole fleet more than once.

import type { Instant } from "../base/clock.ts";
import type { Claim } from "./claim.ts";
import { weightOf } from "./claim.ts";
import type { DigestRow } from "./messages.ts";
import { messageBounds } from "./messages.ts";

export const tellingRule = {
  /** A change of state is pushed to others so long, and any other change so long. */
  newsMs: 3000,
  metaNewsMs: 1000,
} as const;

/** What there is to tell of one member. */
export interface Tellable {
  readonly claim: Claim;
  readonly digest: DigestRow;
  /** When the claimed state changed, and when anything did. */
  readonly claimedSince: Instant;
  readonly changedAt: Instant;
}

export const digestOf = (claim: Claim): DigestRow => [
  claim.name,
  claim.incarnation,
  weightOf(claim),
  claim.seq,
];

/** What is known better than the sender of that digest, newest first, as much as one message holds. */
export function betterThan(
  rows: ReadonlyMap<string, Tellable>,
  digest: readonly DigestRow[],
): { readonly claims: readonly Claim[]; readonly more: boolean } {
  const better: { readonly changedAt: Instant; readonly claim: Claim }[] = [];
  let shared = 0;
  for (const theirs of digest) {
    const row = rows.get(theirs[0]);
    if (row === undefined) continue;
    shared += 1;
    const { claim, digest: ours, changedAt } = row;
    if (ours[1] < theirs[1]) continue;
    if (ours[1] > theirs[1] || ours[3] > theirs[3]) better.push({ changedAt, claim });
    // Another run of the name may count the same `seq`, so only the same incarnation spares the meta.
    else if (ours[2] > theirs[2]) better.push({ changedAt, claim: withoutMeta(claim) });
  }
  if (shared < rows.size) {
    const known = new Set(digest.map(([name]) => name));
    for (const { claim, changedAt } of rows.values())
      if (!isGone(claim) && !known.has(claim.name)) better.push({ changedAt, claim });
  }
  better.sort((a, b) => b.changedAt - a.changedAt);
  let bytes = 0;
  const fitting = better.findIndex(({ claim }) => {
    bytes += bytesOf(claim);
    return bytes > messageBounds.claimBytes;
  });
  // One that is too large alone still goes alone: the transport decides, and nothing is stuck behind it.
  const count = fitting < 0 ? better.length : Math.max(1, fitting);
  return { claims: better.slice(0, count).map(({ claim }) => claim), more: count < better.length };
}

/** The newest, at most so many: first those whose state has changed. `rows` as they changed, the last one last. */
export function newest(rows: Iterable<Tellable>, now: Instant, most: number): readonly Claim[] {
  const states: Claim[] = [];
  const metas: Claim[] = [];
  for (const { claim, claimedSince, changedAt } of [...rows].reverse()) {
    if (now - changedAt >= tellingRule.newsMs) break;
    if (now - claimedSince < tellingRule.newsMs) states.push(claim);
    else if (now - changedAt < tellingRule.metaNewsMs && metas.length < most) metas.push(claim);
  }
  let bytes = 0;
  return [...states, ...metas].slice(0, most).filter((claim) => {
    const fits = bytes + bytesOf(claim) <= messageBounds.newsBytes;
    if (fits) bytes += bytesOf(claim);
    return fits;
  });
}

const isGone = ({ state }: Claim): boolean => state === "dead" || state === "left";

function withoutMeta(claim: Claim): Claim {
  const { meta, ...rest } = claim;
  return rest;
}

/** Claims are never changed, and most of those that come in go out again, to several. */
const measured = new WeakMap<Claim, number>();

/** As JSON, about. */
function bytesOf(claim: Claim): number {
  const known = measured.get(claim);
  if (known !== undefined) return known;
  const bytes = JSON.stringify(claim).length;
  measured.set(claim, bytes);
  return bytes;
}
