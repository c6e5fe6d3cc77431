// The ways to the endpoints behind peers: one pair of wires for each host (requests, questions), a lookout for each
// endpoint. Who is there, and what its engines serve, gossip tells.

import type { Clock } from "./base/clock.ts";
import type { LinkToPeer } from "./dispatch/engine-link.ts";
import type { LinkedEndpoint, SharedLinkParts } from "./engine-links.ts";
import { answersAgain, questionConnections } from "./engine-links.ts";
import type { Ask } from "./engines/ask.ts";
import { createAsk } from "./engines/ask.ts";
import type { Lookout } from "./engines/lookout.ts";
import { createLookout } from "./engines/lookout.ts";
import { peer as dialect } from "./engines/peer.ts";
import type { EndpointState } from "./fleet/endpoint-state.ts";
import type { PeerHost } from "./fleet/peer.ts";
import type { ForwardSeals } from "./host/forwarded.ts";
import { refusedThere } from "./host/forwarded.ts";
import type { Forwarding, PeerClient } from "./host/peer-wire.ts";
import { createPeerClient, targetOfPeer } from "./host/peer-wire.ts";

const peerLinkRule = {
  /** To one host, whatever slots it claims to have: files are finite, and hosts are many. Routing keeps to the slots. */
  connectionsMost: 1024,
  /** The longest that a question is given there; who asks gives up sooner, and says so by hanging up. */
  questionMs: 5000,
} as const;

export interface PeerLinks {
  /**
   * Takes over the endpoints that there are, as soon as they change. Answers those that are gone: requests in flight there
   * go on, but nobody watches over them any more. `dead`: whoever is gone has died, and what is in flight there has failed.
   */
  sync(endpoints: readonly EndpointState[], dead: boolean): readonly EndpointState[];
  /** Undefined: it is behind no peer, or was not there at the last `sync`. */
  of(endpoint: EndpointState): LinkedEndpoint | undefined;
  stop(): void;
}

export interface PeerLinksParts extends SharedLinkParts {
  readonly seals: ForwardSeals;
}

interface LinkedPeer extends LinkedEndpoint {
  readonly link: LinkToPeer;
}

/** One run of one router at one address: another run is another host. */
interface LinkedHost {
  readonly requests: PeerClient;
  readonly asking: PeerClient;
}

export function createPeerLinks(parts: PeerLinksParts): PeerLinks {
  const { seals, clock, random } = parts;
  let hosts = new Map<Readonly<PeerHost>, LinkedHost>();
  let links = new Map<EndpointState, LinkedPeer>();

  const linkHost = (host: Readonly<PeerHost>): LinkedHost => {
    const common = { target: targetOfPeer(host.public), seals, clock, peerClock: { aheadMs: 0 } };
    return {
      requests: createPeerClient({ ...common, maxConnections: peerLinkRule.connectionsMost }),
      asking: createPeerClient({ ...common, maxConnections: questionConnections }),
    };
  };

  const linkEndpoint = (endpoint: EndpointState, host: LinkedHost): LinkedPeer => {
    const lookout: Lookout = createLookout({
      dialect,
      ask: askOf(endpoint, host.asking, clock),
      clock,
      random,
      onAnswered: () => answersAgain(endpoint, lookout, parts),
    });
    return { link: { client: host.requests, dialect, peer: endpoint }, lookout };
  };

  return {
    sync(endpoints, dead) {
      const nextHosts = new Map<Readonly<PeerHost>, LinkedHost>();
      const nextLinks = new Map<EndpointState, LinkedPeer>();
      for (const [host, its] of Map.groupBy(endpoints, ({ peer }) => peer?.host)) {
        if (host === undefined) continue;
        const linked = hosts.get(host) ?? linkHost(host);
        nextHosts.set(host, linked);
        for (const endpoint of its)
          nextLinks.set(endpoint, links.get(endpoint) ?? linkEndpoint(endpoint, linked));
      }
      const gone = [...links].filter(([endpoint]) => !nextLinks.has(endpoint));
      for (const [, { lookout }] of gone) lookout.stop();
      for (const [host, { asking, requests }] of hosts) {
        if (nextHosts.has(host)) continue;
        asking.close();
        // Else requests in flight keep their connections; the rest close themselves when idle.
        if (dead) requests.abandon(`${host.name} is gone from the fleet`);
      }
      hosts = nextHosts;
      links = nextLinks;
      return gone.map(([endpoint]) => endpoint);
    },
    of: (endpoint) => links.get(endpoint),
    stop() {
      for (const { lookout } of links.values()) lookout.stop();
      for (const { asking, requests } of hosts.values()) {
        asking.close();
        requests.close();
      }
    },
  };
}

/** Asks that very endpoint through its router, in nobody's name, and for whatever model it serves by now. */
function askOf(endpoint: EndpointState, asking: PeerClient, clock: Clock): Ask {
  const forwarding = (): Forwarding => {
    const { name, tier } = endpoint.spec;
    return {
      claim: { caller: undefined, tier, endpoint: name, model: "any", body: "request" },
      deadline: clock.now() + peerLinkRule.questionMs,
    };
  };
  return createAsk(
    { request: (request) => asking.request({ ...request, forwarding: forwarding() }) },
    clock,
    [],
    ({ status, headers }) => refusedThere(status, headers) === undefined,
  );
}
