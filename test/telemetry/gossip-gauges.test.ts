// The figures of membership and gossip, as Prometheus reads them.

import { describe, expect, test } from "bun:test";
import type { Member } from "../../src/cluster/member.ts";
import type { GossipParts } from "../../src/telemetry/gossip-gauges.ts";
import { registerGossipGauges, registerMemberGauge } from "../../src/telemetry/gossip-gauges.ts";
import { createRegistry } from "../../src/telemetry/registry.ts";
import { needsTool } from "../support/needs-tool.ts";

const now = 1_000_000;

const memberOf = (name: string, agoMs: number, state: Member["state"] = "alive"): Member => ({
  claim: { name, boot: "1", address: "10.0.0.1:8012", incarnation: 1, state, seq: 1 },
  state,
  stateSince: now,
  metaAt: now - agoMs,
  heardAt: undefined,
});

const gossip = {
  counters: {
    rounds: 12,
    probes: { alive: 5, inconclusive: 1, failed: 2 },
    rejected: { malformed: 3, version: 0, stopped: 0, misdirected: 0 },
  },
  claimCounters: { stale: 9, overfull: 0 },
  healthScore: 2,
  members: () => [
    memberOf("here", 99_000),
    memberOf("a", 100),
    memberOf("b", 300),
    memberOf("c", 2500),
    memberOf("d", 60_000, "dead"),
  ],
};

function page(running: ReturnType<GossipParts["gossip"]> = gossip) {
  const registry = createRegistry();
  registerMemberGauge(registry, () => ({ alive: 3, suspect: 1, dead: 0, left: 0 }));
  const counts = registerGossipGauges(registry, {
    gossip: () => running,
    name: "here",
    traffic: () => ({ connections: 4, exchanges: 1 }),
    reasons: ["wrong-key", "malformed"],
    now: () => now,
  });
  return { ...counts, text: () => registry.expose() };
}

const valuesIn = (text: string): string[] => text.split("\n").filter((line) => /^[a-z]/.test(line));

describe("the metrics of the fleet", () => {
  test("say who is there, what was exchanged, and how far it can be relied on", () => {
    const { text, rejected, event } = page();
    rejected("wrong-key");
    rejected("malformed");
    for (const kind of ["joined", "updated", "dead", "dead"] as const) event(kind);
    expect(valuesIn(text())).toEqual([
      'tierline_members{state="alive"} 3',
      'tierline_members{state="suspect"} 1',
      'tierline_members{state="dead"} 0',
      'tierline_members{state="left"} 0',
      'tierline_membership_events_total{kind="joined"} 1',
      'tierline_membership_events_total{kind="dead"} 2',
      "tierline_gossip_rounds_total 12",
      'tierline_gossip_rejected_total{because="wrong-key"} 1',
      'tierline_gossip_rejected_total{because="malformed"} 4',
      'tierline_gossip_rejected_total{because="version"} 0',
      'tierline_gossip_rejected_total{because="stopped"} 0',
      'tierline_gossip_rejected_total{because="misdirected"} 0',
      'tierline_gossip_probes_total{verdict="alive"} 5',
      'tierline_gossip_probes_total{verdict="inconclusive"} 1',
      'tierline_gossip_probes_total{verdict="failed"} 2',
      'tierline_gossip_claims_ignored_total{because="stale"} 9',
      'tierline_gossip_claims_ignored_total{because="overfull"} 0',
      "tierline_gossip_health_score 2",
      'tierline_gossip_news_age_seconds{peer="median"} 0.3',
      'tierline_gossip_news_age_seconds{peer="worst"} 2.5',
      "tierline_gossip_connections 4",
      "tierline_gossip_exchanges 1",
    ]);
  });

  test("are there before gossip has begun, and have no age of news that there is not", () => {
    const registry = createRegistry();
    registerGossipGauges(registry, {
      gossip: () => undefined,
      name: "here",
      traffic: () => ({ connections: 0, exchanges: 0 }),
      reasons: ["wrong-key"],
      now: () => now,
    });
    const text = registry.expose();
    expect(text).toContain("\ntierline_gossip_rounds_total 0\n");
    expect(text).toContain('\ntierline_gossip_rejected_total{because="wrong-key"} 0\n');
    expect(text).not.toContain("tierline_gossip_news_age_seconds{");
  });

  test.skipIf(!needsTool("promtool"))("are accepted by promtool without a complaint", async () => {
    const { text, event } = page();
    event("joined");
    const promtool = Bun.spawn(["promtool", "check", "metrics"], {
      stdin: new Blob([text()]),
      stdout: "pipe",
      stderr: "pipe",
    });
    const said = (await promtool.stdout.text()) + (await promtool.stderr.text());
    expect([await promtool.exited, said]).toEqual([0, ""]);
  });
});
