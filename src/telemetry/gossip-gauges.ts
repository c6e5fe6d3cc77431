// Figures about the fleet's members and the gossip among them, read when somebody asks for the metrics.

import type { Instant } from "../base/clock.ts";
import type { MemberState } from "../cluster/claim.ts";
import type { Gossip } from "../cluster/gossip.ts";
import type { Member, MembershipEvent } from "../cluster/member.ts";
import type { Registry } from "./registry.ts";

export function registerMemberGauge(
  registry: Registry,
  counts: () => Readonly<Record<MemberState, number>>,
): void {
  registry.gauge("tierline_members", "Members of the fleet, this router included.", ["state"], (set) => {
    for (const [state, members] of Object.entries(counts())) set(members, state);
  });
}

export interface GossipParts {
  /** Undefined until it has begun. */
  gossip(): Pick<Gossip, "counters" | "claimCounters" | "healthScore" | "members"> | undefined;
  readonly name: string;
  /** Of the transport. */
  traffic(): { readonly connections: number; readonly exchanges: number };
  /** Why a seal may be refused: each reason has a series from the start, so that its first increase is seen. */
  readonly reasons: readonly string[];
  readonly now: () => Instant;
}

/** For those who see what happens; what they see is counted from here on. */
export interface GossipCounts {
  /** A message, an answer or a forwarded request was not let in. */
  rejected(because: string): void;
  event(kind: MembershipEvent["kind"]): void;
}

export function registerGossipGauges(registry: Registry, parts: GossipParts): GossipCounts {
  const { gossip, name, traffic, reasons, now } = parts;
  const rejected = new Map<string, number>(reasons.map((because) => [because, 0]));
  const events = registry.counter(
    "tierline_membership_events_total",
    "What has happened to members, as this router saw it. `updated` is left out.",
    ["kind"],
  );

  registry.gauge(
    "tierline_gossip_rounds_total",
    "Exchanges of news that this router began.",
    [],
    (set) => set(gossip()?.counters.rounds ?? 0),
    "counter",
  );
  registry.gauge(
    "tierline_gossip_rejected_total",
    "Messages, answers and forwarded requests that were not let in, by reason.",
    ["because"],
    (set) => {
      // What was sealed well and makes no sense all the same is counted by the gossip itself.
      const sums = new Map(rejected);
      for (const [because, count] of Object.entries(gossip()?.counters.rejected ?? {}))
        sums.set(because, (sums.get(because) ?? 0) + count);
      for (const [because, count] of sums) set(count, because);
    },
    "counter",
  );
  registry.gauge(
    "tierline_gossip_probes_total",
    "Probes of members: alive, failed, or inconclusive, which accuses nobody.",
    ["verdict"],
    (set) => {
      for (const [verdict, count] of Object.entries(gossip()?.counters.probes ?? {})) set(count, verdict);
    },
    "counter",
  );
  registry.gauge(
    "tierline_gossip_claims_ignored_total",
    "Claims that changed nothing: stale, as is usual, or overfull, for want of room for another member.",
    ["because"],
    (set) => {
      for (const [because, count] of Object.entries(gossip()?.claimCounters ?? {})) set(count, because);
    },
    "counter",
  );
  registry.gauge(
    "tierline_gossip_health_score",
    "How little this router trusts its own senses: 0 is well, 7 the worst. Each point makes it slower to accuse.",
    [],
    (set) => set(gossip()?.healthScore ?? 0),
  );
  registry.gauge(
    "tierline_gossip_news_age_seconds",
    "How long ago the newest advert of a peer that is held for alive came in: of the median peer and of the worst.",
    ["peer"],
    (set) => {
      const ages = agesOf(gossip()?.members() ?? [], name, now());
      const median = ages[Math.floor((ages.length - 1) / 2)];
      const worst = ages.at(-1);
      if (median === undefined || worst === undefined) return;
      set(median / 1000, "median");
      set(worst / 1000, "worst");
    },
  );
  registry.gauge("tierline_gossip_connections", "Connections to peers' gossip listeners.", [], (set) =>
    set(traffic().connections),
  );
  registry.gauge("tierline_gossip_exchanges", "Messages to peers that wait for an answer.", [], (set) =>
    set(traffic().exchanges),
  );

  return {
    rejected: (because) => void rejected.set(because, (rejected.get(because) ?? 0) + 1),
    event(kind) {
      // Each member says something new of itself several times a second.
      if (kind !== "updated") events.with(kind).add(1);
    },
  };
}

/** Rising. */
const agesOf = (members: readonly Member[], name: string, now: Instant): readonly number[] =>
  members
    .filter(({ claim, state }) => claim.name !== name && state === "alive")
    .map(({ metaAt }) => Math.round(now - metaAt))
    .toSorted((a, b) => a - b);
