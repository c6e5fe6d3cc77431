// Joins this router to its fleet: gossip over its transport, seeds from discovery, what this host says of itself into
// gossip. What members say is members-heard.ts's; what follows from any of it is decided elsewhere.

import { addressText, isEveryInterface } from "./base/address.ts";
import { bareHost } from "./base/bare-host.ts";
import type { Clock } from "./base/clock.ts";
import { isRecord } from "./base/is-record.ts";
import type { Random } from "./base/random.ts";
import { until } from "./base/until.ts";
import type { Gossip } from "./cluster/gossip.ts";
import { createGossip } from "./cluster/gossip.ts";
import { bootId, firstIncarnation } from "./cluster/incarnation.ts";
import type { MembershipEvent } from "./cluster/member.ts";
import type { ClusterMemory } from "./cluster-memory.ts";
import type { ClusterConfig } from "./config/config.ts";
import type { Advert } from "./fleet/advert.ts";
import { createClearings } from "./fleet/clearings.ts";
import type { Fleet } from "./fleet/fleet.ts";
import { createOwnAdvert } from "./fleet/own-advert.ts";
import type { Quarantine } from "./fleet/quarantine.ts";
import type { Discovery } from "./host/discovery.ts";
import { createDiscovery, systemResolver } from "./host/discovery.ts";
import type { ForwardSeals } from "./host/forwarded.ts";
import { createForwardSeals } from "./host/forwarded.ts";
import { createGossipAnswer } from "./host/gossip-answer.ts";
import type { GossipTransport } from "./host/gossip-transport.ts";
import { createGossipTransport, failureText } from "./host/gossip-transport.ts";
import { gossipBounds, gossipSubject } from "./host/gossip-wire.ts";
import { createJobCallSeals } from "./host/job-call.ts";
import { ownHost } from "./host/own-host.ts";
import type { Refused, SealKeys } from "./host/sealed-message.ts";
import { createSeals, randomNonce } from "./host/sealed-message.ts";
import { alone } from "./http/alone.ts";
import type { DoorCluster, JobCalls, MemberFacts } from "./http/door.ts";
import { createGossipApp } from "./http/gossip.ts";
import type { App } from "./http/listen.ts";
import { createJobCalls } from "./job-calls.ts";
import type { MembersHeardParts } from "./members-heard.ts";
import { createMembersHeard } from "./members-heard.ts";
import { logMembership } from "./membership-log.ts";
import type { Log } from "./telemetry/log.ts";

const linkRule = {
  /** How often it is looked whether there is anything new to say, or to remember. */
  lookMs: 250,
  rememberEveryMs: 10_000,
  /** A machine whose network is not up yet has no address. */
  addressAgainMs: 1000,
} as const;

export interface ClusterLinkParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly config: ClusterConfig;
  readonly name: string;
  readonly zone: string | undefined;
  /** What the gossip listener was told to listen on, before it knew its port. */
  readonly listening: string;
  readonly fleet: Fleet;
  readonly quarantine: Quarantine;
  /** Read with each advert. */
  readonly draining: () => boolean;
  readonly intents: () => Advert["intents"];
  /** A message or a forwarded request that was not let in. */
  readonly refused: (why: Refused) => void;
  readonly events: MembersHeardParts["events"] & {
    membership(kind: MembershipEvent["kind"]): void;
  };
}

export interface Listening {
  /** Base addresses, with the ports that they really have. */
  readonly gossip: string;
  readonly public: string;
  readonly memory: ClusterMemory;
  /** What the next run should know; called whenever it changes, not too often. */
  remember(memory: ClusterMemory): void;
}

export interface ClusterLink {
  /** For the gossip listener, which must be open before `start`. */
  readonly app: App;
  readonly door: DoorCluster;
  /** What the others are asked about jobs. */
  readonly askMember: JobCalls;
  readonly seals: ForwardSeals;
  /** Gossip as it stands; undefined before `start`. */
  readonly gossip: Gossip | undefined;
  readonly transport: Pick<GossipTransport, "counts">;
  start(listening: Listening): void;
  /** Resolves when every seed has answered or failed once, or `limitMs` have passed. */
  joined(limitMs: number): Promise<void>;
  /** Seeds and keys may change while it runs. */
  reconfigure(config: ClusterConfig): void;
  /** Tells the others that this router goes, of its own will. */
  leave(): Promise<void>;
  stop(): void;
}

export function createClusterLink(parts: ClusterLinkParts): ClusterLink {
  const { clock, random, log, name, fleet, quarantine, refused, events } = parts;
  let config = parts.config;
  const keys = (): SealKeys => config.keys;
  const seals = createSeals({
    fleet: config.fleet,
    name,
    keys,
    bodyBytesMost: gossipBounds.bodyBytes,
    noncesMost: gossipBounds.nonces,
    clock,
    nonce: randomNonce,
  }).about(gossipSubject);
  const claims = { fleet: config.fleet, name, keys, clock };
  const forwardSeals = createForwardSeals(claims);
  const jobSeals = createJobCallSeals(claims);
  const transport = createGossipTransport({ seals, clock, refused });
  const discovery: Discovery = createDiscovery({
    clock,
    random,
    resolver: () => systemResolver(),
    events: {
      found: (host, addresses) => log.info({ name: host, addresses }, "seeds found"),
      failed: (host, why, kept) => log.warn({ name: host, why, kept }, "seeds not found; asking again"),
    },
  });
  discovery.use(config.seeds);

  const startedAt = clock.now();
  const started = Promise.withResolvers<Gossip>();
  let gossip: Gossip | undefined;
  /** Undefined: not begun, or another host of our name has won; what is known then only grows old. */
  const speaking = (): Gossip | undefined => (gossip?.yielded === false ? gossip : undefined);
  /** Who has answered, or failed to, while that matters to anybody. */
  let called: Set<string> | undefined = new Set();
  const timers = new Map<string, () => void>();
  const every = (timer: string, ms: number, act: () => void): void => {
    const again = (): void => {
      timers.set(timer, clock.after(ms, again));
      act();
    };
    again();
  };

  // What members say.

  const clearings = createClearings();
  const heard = createMembersHeard({
    name,
    clock,
    fleet,
    clearings,
    quarantine,
    members: () => gossip?.members() ?? [],
    events,
  });

  const onEvent = (event: MembershipEvent): void => {
    logMembership(log, event);
    events.membership(event.kind);
    // Adverts come by the hundred; who has moved is found out when he is asked.
    if (event.kind !== "updated") askMember.membersChanged();
    if (event.kind === "forgotten") transport.forget(event.member.claim.address);
    heard.hear(event);
  };

  // What this host says of itself.

  let publicUrl = "";
  let isTooLarge = false;

  const ownAdvert = createOwnAdvert(fleet, (now) => ({
    name,
    public: publicUrl,
    zone: parts.zone,
    draining: parts.draining(),
    upMs: now - startedAt,
    intents: parts.intents(),
    clearings: clearings.rows(now),
    deaths: quarantine.rows(now),
  }));

  const publish = (): void => {
    const telling = speaking();
    const advert = telling && ownAdvert.due(clock.now(), telling.counts().alive);
    if (telling === undefined || advert === undefined) return;
    const fits = telling.publish(advert);
    if (!fits && !isTooLarge)
      log.error("what this host says of itself is too large to travel; peers know its last advert");
    isTooLarge = !fits;
  };

  let remembered = "";
  const rememberWith = (remember: Listening["remember"]): void => {
    const known = speaking();
    if (known === undefined) return;
    const memory: ClusterMemory = { incarnation: known.incarnation, peers: known.lastKnownPeers() };
    const text = JSON.stringify(memory);
    if (text === remembered) return;
    remembered = text;
    remember(memory);
  };

  // Who we are to others.

  const ownHostFor = async (listening: string): Promise<string | undefined> =>
    config.advertise?.host ?? (await ownHost(listening, discovery.addresses()));

  let ownAddress = "";

  const begin = async (listening: Listening): Promise<void> => {
    const own = await ownHostFor(parts.listening);
    if (own === undefined) {
      log.warn("this machine has no way to any other yet: alone until it has");
      timers.set(
        "begin",
        clock.after(linkRule.addressAgainMs, () => void begin(listening)),
      );
      return;
    }
    const { memory, remember } = listening;
    const { protocol, hostname, port } = new URL(listening.public);
    const publicHost =
      config.advertise?.host ?? (isEveryInterface({ host: bareHost(hostname) }) ? own : bareHost(hostname));
    const publicPort = config.advertise?.port ?? Number(port);
    publicUrl = `${protocol}//${addressText({ host: publicHost, port: publicPort })}`;
    const incarnation = firstIncarnation(clock.wallMs(), memory.incarnation);
    ownAddress = addressText({ host: own, port: Number(new URL(listening.gossip).port) });
    const made = createGossip({
      name,
      boot: bootId(incarnation, random),
      address: ownAddress,
      incarnation,
      meta: ownAdvert.read(clock.now()),
      seeds: discovery.addresses,
      lastKnown: memory.peers,
      clock,
      random,
      transport: {
        async send(address, message, options) {
          const sent = await transport.send(address, message, options);
          called?.add(address);
          return "failed" in sent ? { failed: failureText(sent.failed) } : sent;
        },
      },
      tell: onEvent,
    });
    gossip = made;
    made.start();
    started.resolve(made);
    every("look", linkRule.lookMs, publish);
    every("remember", linkRule.rememberEveryMs, () => rememberWith(remember));
  };

  const members = (): readonly MemberFacts[] =>
    speaking()?.members().map(heard.factsOf) ?? alone(name).members();
  const askMember = createJobCalls({ seals: jobSeals, members, clock });

  return {
    app: createGossipApp({
      answer: createGossipAnswer({
        seals,
        async handle(message, from) {
          const { handle } = gossip ?? (await started.promise);
          // Who seals with one name and speaks with another is no one that we can talk to.
          return handle(speaker(message) === from ? message : undefined);
        },
        refused,
      }),
      clock,
      refused,
    }),
    door: {
      members,
      counts: () => speaking()?.counts() ?? alone(name).counts(),
      forwarded: { open: forwardSeals.open, refused },
      jobCalls: { open: jobSeals.open, refused },
      announce(clearing) {
        clearings.announce(clearing, clock.now());
        publish();
        return (speaking()?.counts().alive ?? 1) - 1;
      },
    },
    askMember,
    seals: forwardSeals,
    transport,
    get gossip() {
      return gossip;
    },
    start: (listening) => void begin(listening),
    async joined(limitMs) {
      const isKnown = (seed: string): boolean =>
        seed === ownAddress ||
        called?.has(seed) === true ||
        (gossip?.members() ?? []).some(({ claim }) => claim.address === seed);
      const isTried = (): boolean => gossip !== undefined && discovery.addresses().every(isKnown);
      await until(isTried, limitMs, clock);
      called = undefined;
    },
    reconfigure(next) {
      config = next;
      discovery.use(next.seeds);
    },
    async leave() {
      await gossip?.leave();
    },
    stop() {
      for (const cancel of timers.values()) cancel();
      timers.clear();
      gossip?.stop();
      discovery.stop();
      transport.close();
      askMember.stop();
    },
  };
}

/** Whom a message says that it is from. */
function speaker(message: unknown): unknown {
  const from = isRecord(message) ? message["from"] : undefined;
  return isRecord(from) ? from["name"] : undefined;
}
