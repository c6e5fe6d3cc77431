// The other routers and their endpoints, as gossip tells of them one by one.

import type { Instant } from "../base/clock.ts";
import { hash32 } from "../base/hash32.ts";
import type { Advert, AdvertEngine } from "./advert.ts";
import { advertEveryMs, isName } from "./advert.ts";
import type { EndpointSpec, Tier } from "./endpoint.ts";
import { tiers } from "./endpoint.ts";
import type { EndpointState } from "./endpoint-state.ts";
import { createEndpointState } from "./endpoint-state.ts";
import type { HostBar } from "./host-bar.ts";
import { createHostBar } from "./host-bar.ts";
import { newsShare } from "./news-share.ts";
import type { PeerEndpoint } from "./peer.ts";
import { createPeerLoad } from "./peer-load.ts";
import { slowStartRule } from "./slow-start.ts";

const peerTableRule = {
  /** Twice the largest fleet that is promised. */
  hostsMost: 1024,
  /** Hosts that went away, and models that went with them, are remembered so long and so many of them. */
  memoryMs: 60_000,
  goneMost: 1024,
} as const;

export interface PeerFacts {
  readonly name: string;
  /** Which run of its program this is. */
  readonly boot: string;
  /** As membership holds it. */
  readonly state: "alive" | "suspect" | "dead" | "left";
  /** Its newest; undefined where it has said nothing that we understand. */
  readonly advert: Advert | undefined;
  /** When that came in. */
  readonly advertAt: Instant;
}

export interface PeerTable {
  readonly endpoints: readonly EndpointState[];
  readonly panic: boolean;
  named(name: string): EndpointState | undefined;
  /** True where endpoints came, went or moved. */
  set(facts: PeerFacts, now: Instant): boolean;
  servedUntil(model: string): Instant | undefined;
}

const nobody: ReadonlySet<number> = new Set();

interface Peer {
  readonly host: PeerEndpoint["host"];
  readonly bar: HostBar;
  endpoints: ReadonlyMap<string, EndpointState>;
}

export function createPeerTable(home: string): PeerTable {
  const peers = new Map<string, Peer>();
  const homeHash = hash32(home);
  /** Who wants more of a tier than it gets: the hashes of their names. */
  const short = new Map(tiers.map((tier) => [tier, new Set<number>()]));
  const goneHosts = new Map<string, Instant>();
  const goneModels = new Map<string, Instant>();
  let byName = new Map<string, EndpointState>();
  let endpoints: readonly EndpointState[] = [];
  let panic = false;

  const rebuild = (): void => {
    endpoints = [...peers.values()].flatMap((peer) => [...peer.endpoints.values()]);
    byName = new Map(endpoints.map((endpoint) => [endpoint.spec.name, endpoint]));
  };

  const count = (): void => {
    let eligible = 0;
    for (const { host } of peers.values()) if (!host.suspect && !host.draining) eligible += 1;
    panic = eligible * 2 < peers.size;
  };

  const setShort = (hash: number, of: readonly Tier[] = []): void => {
    for (const [tier, hashes] of short) hashes[of.includes(tier) ? "add" : "delete"](hash);
  };

  const remove = (name: string, now: Instant): boolean => {
    const peer = peers.get(name);
    if (peer === undefined) return false;
    peers.delete(name);
    setShort(hash32(name));
    remember(goneHosts, name, now);
    for (const { models } of peer.endpoints.values())
      for (const model of models ?? []) remember(goneModels, model, now);
    count();
    if (peer.endpoints.size === 0) return false;
    rebuild();
    return true;
  };

  const meet = ({ name, boot, advert }: PeerFacts, now: Instant): Peer => {
    const wentAt = goneHosts.get(name);
    const returned = wentAt !== undefined && now - wentAt < peerTableRule.memoryMs;
    // By its own word, so that a router that has just started does not take everybody for a joiner.
    const upMs = returned || advert === undefined ? 0 : Math.min(advert.upMs, slowStartRule.windowMs);
    const host = {
      name,
      boot,
      public: advert?.public ?? "",
      zone: advert?.zone,
      suspect: false,
      draining: false,
      since: now - upMs,
    };
    return { host, bar: createHostBar(), endpoints: new Map() };
  };

  const endpointAt = (peer: Peer, engine: AdvertEngine): EndpointState => {
    const { host, bar } = peer;
    const name = `${host.name}/${engine.name}`;
    const spec: EndpointSpec = {
      name,
      tier: engine.tier,
      locality: "peer",
      slots: engine.slots,
      queueLimit: 0,
    };
    const known = peer.endpoints.get(name);
    if (known !== undefined) {
      known.reconfigure(spec, engine.models);
      return known;
    }
    const hostHash = hash32(host.name);
    const nameHash = hash32(name);
    const load = createPeerLoad((free, slots, at) => {
      const news = { free, slots, at, host: hostHash, endpoint: nameHash };
      const others = short.get(endpoint.spec.tier) ?? nobody;
      return newsShare(news, others, homeHash, advertEveryMs(peers.size + 1));
    });
    const endpoint: EndpointState = createEndpointState(spec, engine.models, {
      host,
      bar,
      load,
      state: engine.state,
    });
    return endpoint;
  };

  return {
    get endpoints() {
      return endpoints;
    },
    get panic() {
      return panic;
    },
    named: (name) => byName.get(name),
    set(facts, now) {
      const { name, boot, state, advert, advertAt } = facts;
      if (state === "dead" || state === "left") return remove(name, now);
      if (name === home || !isName(name)) return false;
      let peer = peers.get(name);
      const { host } = peer ?? {};
      const another =
        host !== undefined && (host.boot !== boot || (advert !== undefined && advert.public !== host.public));
      // Before its first advert nothing can be sent to it, but it may send.
      if (host?.public === "" && advert !== undefined) peer = undefined;
      let changed = another && remove(name, now);
      const isNew = another || peer === undefined;
      if (isNew || peer === undefined) {
        if (peers.size >= peerTableRule.hostsMost) return changed;
        peer = meet(facts, now);
        peers.set(name, peer);
      }
      const { suspect, draining } = peer.host;
      peer.host.suspect = state === "suspect";
      if (advert !== undefined) {
        peer.host.draining = advert.draining;
        setShort(hash32(name), [...(advert.short ?? []), ...fullTiers(advert)]);
        if (peer.host.zone !== advert.zone) changed = true;
        peer.host.zone = advert.zone;
        const before = peer.endpoints;
        const tiersBefore = new Map(before.entries().map(([each, { spec }]) => [each, spec.tier]));
        const after = new Map<string, EndpointState>();
        for (const engine of advert.engines) {
          const endpoint = endpointAt(peer, engine);
          endpoint.announced(engine.state, engine.load, advertAt);
          after.set(endpoint.spec.name, endpoint);
        }
        peer.endpoints = after;
        const same =
          after.size === before.size &&
          after.entries().every(([each, { spec }]) => tiersBefore.get(each) === spec.tier);
        changed ||= !same;
      }
      // Not at each of the hundreds of adverts a second of a large fleet.
      if (isNew || suspect !== peer.host.suspect || draining !== peer.host.draining) count();
      if (changed) rebuild();
      return changed;
    },
    servedUntil: (model) => goneModels.get(model),
  };
}

/** The oldest makes room. */
function remember(memory: Map<string, Instant>, key: string, now: Instant): void {
  memory.delete(key);
  memory.set(key, now);
  const oldest = memory.keys().next().value;
  if (memory.size > peerTableRule.goneMost && oldest !== undefined) memory.delete(oldest);
}

/** Who has nothing free of a tier will send on the next request, and says only afterwards that it found no room. */
function fullTiers({ engines }: Advert): readonly Tier[] {
  return tiers.filter((tier) => {
    const ofTier = engines.filter((engine) => engine.tier === tier);
    return ofTier.length > 0 && ofTier.every(({ load, slots }) => load.inflight + load.waiting >= slots);
  });
}
