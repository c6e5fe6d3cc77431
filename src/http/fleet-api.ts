// The fleet as this router sees it, for an operator: every member, and how each endpoint of it stands. It decides nothing.

import type { Hono } from "hono";
import type { Instant } from "../base/clock.ts";
import type { AdvertEngine } from "../fleet/advert.ts";
import { tiers } from "../fleet/endpoint.ts";
import type { EndpointState } from "../fleet/endpoint-state.ts";
import { standingOf } from "../fleet/standing.ts";
import type { Door, MemberFacts } from "./door.ts";
import type { LaneHealth } from "./health.ts";
import { jobsHealthRow } from "./health.ts";

export interface FleetApiParts
  extends Pick<Door, "cluster" | "self" | "fleet" | "lifecycle" | "caches" | "clock">,
    LaneHealth {
  readonly intents: Pick<Door["intents"], "archetypes">;
}

export function addFleetApi(app: Hono, door: FleetApiParts): void {
  app.get("/api/fleet", () => Response.json(fleetAnswer(door)));
}

function fleetAnswer(door: FleetApiParts) {
  const { cluster, fleet, lifecycle, caches, intents, clock, lane } = door;
  const now = clock.now();
  const { epoch } = intents.archetypes;
  const draining = lifecycle.phase === "draining";
  const behind = Map.groupBy(fleet.peers, ({ peer }) => peer?.host.name);

  const selfRow = (member: MemberFacts) => ({
    ...memberRow(member, now),
    // Others reach it by what it advertises; who is in no fleet advertises nothing.
    ...(member.advert === undefined && door.self()),
    draining,
    intents: { entries: caches.intents.stats().entries, epoch, same_epoch: true },
    tiers: tiers.filter((tier) => fleet.places(tier).local.length > 0),
    endpoints: fleet.local.map((endpoint) => ({
      ...endpointRow(endpoint, undefined, now),
      ...(draining && { state: "draining" }),
    })),
  });

  const peerRow = (member: MemberFacts) => {
    const { name, advert } = member;
    const engines = advert?.engines ?? [];
    const told = advert?.intents;
    return {
      ...memberRow(member, now),
      draining: advert?.draining ?? false,
      intents: told === undefined ? null : { ...told, same_epoch: told.epoch === epoch },
      // Of a host that is gone it says what the fleet has lost.
      tiers: tiers.filter((tier) => engines.some((engine) => engine.tier === tier)),
      endpoints: (behind.get(name) ?? []).map((endpoint) =>
        endpointRow(
          endpoint,
          engines.find((engine) => `${name}/${engine.name}` === endpoint.spec.name),
          now,
        ),
      ),
    };
  };

  const byName = cluster.members().toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const selves = byName.filter(({ isSelf }) => isSelf);
  const peers = byName.filter(({ isSelf }) => !isSelf);
  return {
    self: selves[0]?.name ?? null,
    phase: lifecycle.phase,
    panic: fleet.panic,
    ...(lane !== undefined && { jobs: jobsHealthRow(lane.health()) }),
    members: [...selves.map(selfRow), ...peers.map(peerRow)],
  };
}

function memberRow(member: MemberFacts, now: Instant) {
  const { name, state, incarnation, advert, accused, stateSince, newsAt } = member;
  return {
    name,
    state,
    incarnation,
    public: advert?.public ?? null,
    zone: advert?.zone ?? null,
    state_age_ms: ageOf(stateSince, now),
    news_age_ms: ageOf(newsAt, now),
    // The claim keeps its accusers, which mean nothing once it has spoken up.
    accused: state === "suspect" || state === "dead" ? (accused ?? null) : null,
  };
}

/** `engine`: what its own router says of it; undefined where that is this one. */
function endpointRow(endpoint: EndpointState, engine: AdvertEngine | undefined, now: Instant) {
  const { spec, models, peer } = endpoint;
  // The same figures that its host tells everybody.
  const load = peer === undefined ? endpoint.load(now) : endpoint.said(now);
  return {
    name: spec.name,
    tier: spec.tier,
    locality: spec.locality,
    models: models ?? [],
    slots: spec.slots,
    inflight: Math.max(endpoint.inflight, load?.inflight ?? 0),
    waiting: load?.waiting ?? 0,
    kv_percent: load?.kvPercent ?? null,
    pressure: Math.round(endpoint.pressure(now) * 10_000) / 10_000,
    state: standingOf(endpoint, now),
    there: engine?.state ?? null,
    breaker: endpoint.breakerState(now),
    calls: endpoint.calls,
    calls_in_flight: endpoint.inflight,
    // As seen from here; beside it what its host says of the first bytes there.
    first_byte_p50_ms: tenths(endpoint.firstByteMs(true, 0.5)),
    first_byte_p99_ms: tenths(endpoint.firstByteMs(true, 0.99)),
    whole_p50_ms: tenths(endpoint.firstByteMs(false, 0.5)),
    whole_p99_ms: tenths(endpoint.firstByteMs(false, 0.99)),
    said_p50_ms: peer === undefined ? null : (load?.firstByteMs ?? null),
  };
}

const ageOf = (since: Instant | undefined, now: Instant): number | null =>
  since === undefined ? null : Math.round(now - since);

const tenths = (ms: number | undefined): number | null =>
  ms === undefined ? null : Math.round(ms * 10) / 10;
