// Figures about endpoints, pools and tiers, read when somebody asks for the metrics.

import type { Instant } from "../base/clock.ts";
import { tiers } from "../fleet/endpoint.ts";
import type { FleetView } from "../fleet/fleet.ts";
import { available, poolOf } from "../fleet/fleet.ts";
import type { Quarantine } from "../fleet/quarantine.ts";
import type { EndpointLabels } from "./endpoint-labels.ts";
import type { Registry } from "./registry.ts";

const breakerValues = { closed: 0, "half-open": 1, open: 2 } as const;

export function registerFleetGauges(
  registry: Registry,
  fleet: FleetView,
  now: () => Instant,
  labels: EndpointLabels,
): void {
  registry.gauge("tierline_inflight", "Requests at the endpoint now.", ["endpoint"], (set) => {
    for (const { spec, inflight } of labels.shown()) set(inflight, spec.name);
  });
  registry.gauge(
    "tierline_endpoint_slots",
    "Requests that the engine is given at once: as configured, or fewer where it queues them itself.",
    ["endpoint"],
    (set) => {
      for (const { spec } of fleet.local) set(spec.slots, spec.name);
    },
  );
  registry.gauge("tierline_queue_depth", "Requests in the endpoint's waiting room.", ["endpoint"], (set) => {
    for (const { spec, waiting } of fleet.local) set(waiting, spec.name);
  });
  registry.gauge(
    "tierline_pool_utilization_ratio",
    "Used slots by all slots of the tier on this host.",
    ["tier"],
    (set) => {
      for (const tier of tiers) {
        const { local } = fleet.places(tier);
        if (local.length > 0) set(poolOf(local).utilization, tier);
      }
    },
  );
  registry.gauge(
    "tierline_breaker_state",
    "0 closed, 1 half-open, 2 open; the worst model's.",
    ["endpoint"],
    (set) => {
      for (const endpoint of labels.shown()) {
        set(breakerValues[endpoint.breakerState(now())], endpoint.spec.name);
      }
    },
  );
  registry.gauge("tierline_endpoint_available", "1 where new work is taken.", ["endpoint"], (set) => {
    for (const endpoint of labels.shown()) set(available(endpoint, now()) ? 1 : 0, endpoint.spec.name);
  });
  registry.gauge(
    "tierline_fleet_panic",
    "1 where so many peers are suspect or draining that suspicion is not believed.",
    [],
    (set) => set(fleet.panic ? 1 : 0),
  );
}

export function registerQuarantineGauge(
  registry: Registry,
  quarantine: Pick<Quarantine, "stopped">,
  now: () => Instant,
): void {
  registry.gauge(
    "tierline_quarantined_requests",
    "Requests that are stopped because engines died of them.",
    [],
    (set) => set(quarantine.stopped(now())),
  );
}

/** What the configuration promises now. */
export function registerTierTargets(
  registry: Registry,
  targets: () => Readonly<Record<string, { readonly targetP95Ms: number }>>,
): void {
  registry.gauge(
    "tierline_tier_target_p95_seconds",
    "The latency that the operator promises for the tier.",
    ["tier"],
    (set) => {
      for (const [tier, { targetP95Ms }] of Object.entries(targets())) set(targetP95Ms / 1000, tier);
    },
  );
}
