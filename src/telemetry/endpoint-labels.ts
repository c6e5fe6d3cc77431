// Which endpoints have series of their own. This host's always have; of peers' endpoints so many as are used, and only
// while they are in the fleet, since in a fleet that scales every instance would otherwise leave its series behind.

import type { EndpointView } from "../fleet/endpoint-view.ts";
import type { FleetView } from "../fleet/fleet.ts";
import type { Family } from "./registry.ts";

/** A router keeps to few peers at a time; 500 hosts that each show 500 others would be a quarter of a million series. */
const peersMost = 64;

/** No endpoint is called so, for their names have a slash in them. */
const others = "other";

export interface EndpointLabels {
  /** Its own name, or `other`. */
  of(endpoint: EndpointView): string;
  /** Those that have series of their own now, this host's first. */
  shown(): readonly EndpointView[];
  /** Endpoints may have gone: what was counted under their names is dropped. */
  sweep(): void;
}

/** `families`: what is counted under these labels, each with the label `endpoint`. */
export function createEndpointLabels(
  fleet: FleetView,
  families: readonly Pick<Family<unknown>, "forget">[],
): EndpointLabels {
  const locals = new Set<string>();
  const peers = new Set<string>();

  const of = ({ spec, peer }: EndpointView): string => {
    const names = peer === undefined ? locals : peers;
    if (names.has(spec.name)) return spec.name;
    // An answer may end after its endpoint has gone.
    if (fleet.named(spec.name) === undefined) return others;
    if (peer !== undefined && peers.size >= peersMost) return others;
    names.add(spec.name);
    return spec.name;
  };

  return {
    of,
    shown() {
      const used = fleet.peers.filter(({ lastPick }) => lastPick > 0);
      return [...fleet.local, ...used.filter((endpoint) => of(endpoint) !== others)];
    },
    sweep() {
      for (const names of [locals, peers]) {
        for (const name of names) {
          if (fleet.named(name) !== undefined) continue;
          names.delete(name);
          for (const family of families) family.forget("endpoint", name);
        }
      }
    },
  };
}
