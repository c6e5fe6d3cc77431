// Which way leads to an endpoint: over this host's own wires to an engine of its own, through a peer's router to one there.

import type { Config } from "./config/config.ts";
import type { LinkedEndpoint, LinkedEngine, LinkParts } from "./engine-links.ts";
import { linkEngine } from "./engine-links.ts";
import type { EndpointState } from "./fleet/endpoint-state.ts";
import type { Fleet } from "./fleet/fleet.ts";
import type { ForwardSeals } from "./host/forwarded.ts";
import type { PeerLinks } from "./peer-links.ts";
import { createPeerLinks } from "./peer-links.ts";
import { endpointName } from "./slices.ts";

export interface LinksParts extends LinkParts {
  readonly fleet: Fleet;
  /** No way leads there any more, and nobody watches over whoever waits there. */
  readonly onGone: (endpoint: EndpointState) => void;
  /** The endpoints of the fleet are others than before. */
  readonly onChanged: () => void;
}

export interface Links {
  /** Undefined: nothing leads there any more. */
  find(endpoint: EndpointState): LinkedEndpoint | undefined;
  /** Throws where nothing leads there. */
  to(endpoint: EndpointState): LinkedEndpoint;
  /** Undefined: it is no engine of this host. */
  engine(endpoint: EndpointState): LinkedEngine | undefined;
  /** Takes over the engines of a configuration that the fleet has been told of already. */
  linkEngines(config: Config): void;
  /** From now on there may be peers. */
  joinFleet(seals: ForwardSeals): void;
  /** Takes over the endpoints behind peers, as the fleet has them. `dead`: the host of those that are gone has died. */
  linkPeers(dead: boolean): void;
  /** What is under way to an engine is cut short. */
  stop(): void;
}

export function createLinks(parts: LinksParts): Links {
  const { fleet, onGone, onChanged } = parts;
  const engines = new Map<EndpointState, LinkedEngine>();
  /** Undefined: this router is in no fleet. */
  let peers: PeerLinks | undefined;

  const find = (endpoint: EndpointState): LinkedEndpoint | undefined =>
    engines.get(endpoint) ?? peers?.of(endpoint);

  return {
    find,
    to(endpoint) {
      const found = find(endpoint);
      if (found === undefined) throw new Error(`nothing leads to ${endpoint.spec.name}`);
      return found;
    },
    engine: (endpoint) => engines.get(endpoint),
    linkEngines(config) {
      const wanted = new Set<EndpointState>();
      for (const engine of config.engines) {
        const endpoint = fleet.named(endpointName(config, engine.name));
        if (endpoint === undefined) continue;
        wanted.add(endpoint);
        const linked = engines.get(endpoint);
        if (linked === undefined) engines.set(endpoint, linkEngine(engine, endpoint, parts));
        else linked.verifyConstraint();
      }
      for (const [endpoint, engine] of engines) {
        if (wanted.has(endpoint)) continue;
        engine.stop();
        engines.delete(endpoint);
        onGone(endpoint);
      }
      onChanged();
    },
    joinFleet(seals) {
      peers = createPeerLinks({ ...parts, seals });
    },
    linkPeers(dead) {
      for (const gone of peers?.sync(fleet.peers, dead) ?? []) onGone(gone);
      onChanged();
    },
    stop() {
      peers?.stop();
      for (const engine of engines.values()) {
        engine.stop();
        engine.link.client.close();
      }
    },
  };
}
