// The machine that keeps the table true: rounds, probes, refutation, joining and leaving, each on its own timer.
// Time, dice and the way to a peer are handed in; what the claims mean is for membership.ts.

import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import type { Claim, MemberState } from "./claim.ts";
import { memberStates } from "./claim.ts";
import type { Detector } from "./detector.ts";
import { createDetector } from "./detector.ts";
import type { Dialling } from "./dialling.ts";
import { createDialling, diallingRule } from "./dialling.ts";
import { createHealthScore, healthRule } from "./health-score.ts";
import type { Member, MembershipEvent } from "./member.ts";
import { isPresent } from "./member.ts";
import type { Membership, MembershipCounters } from "./membership.ts";
import { createMembership } from "./membership.ts";
import type { Ask, Message, Ping, Refusal, Reply, Sender, Sync } from "./messages.ts";
import { ourVersions, readMessage, readReply } from "./messages.ts";
import type { Answer } from "./probe.ts";
import { probeRule } from "./probe.ts";
import type { Transport } from "./transport.ts";
import { createTurnOrder, shuffled } from "./turn-order.ts";

const gossipRule = {
  roundMs: 500,
  /** Peers in each round; they are visited one after the other, so that the second hears what the first told. */
  fanout: 3,
  jitter: 0.2,
  exchangeTimeoutMs: 500,
  /** Exchanges that wait for a slow peer; with this many no new one begins. */
  exchangesMost: 8,
  /** "There is more" is followed so many times in a row. */
  followMost: 16,
  /** Claims that ride on a round, and on a probe. */
  newsMost: 12,
  probeNewsMost: 8,
  /** About so many members look for themselves when a suspicion is told. */
  confirmers: 6,
  /** What a peer of the worst health may ask for. */
  askTimeoutMostMs: 4000,
  refutationsSent: 3,
  farewellsSent: 5,
} as const;

export interface GossipParts {
  readonly name: string;
  readonly boot: string;
  readonly address: string;
  /** See incarnation.ts. */
  readonly incarnation: number;
  readonly meta: unknown;
  /** Read each time: discovery may change them. */
  seeds(): readonly string[];
  readonly lastKnown: readonly string[];
  readonly clock: Clock;
  readonly random: Random;
  readonly transport: Transport;
  /** Called at once, from within; it must not call back. */
  tell(event: MembershipEvent): void;
}

export interface GossipCounters {
  /** Exchanges that we began. */
  rounds: number;
  readonly probes: Detector["verdicts"];
  rejected: Record<Refusal["because"], number>;
}

export interface Gossip {
  start(): void;
  /** Without a word, as a crash would. */
  stop(): void;
  /** Says farewell; still answers afterwards, so that those who ask are told. */
  leave(): Promise<void>;
  /** What a peer sent, as it arrived, authenticated. */
  handle(message: unknown): Promise<Reply | Refusal>;
  /** A new version of what we say of ourselves; false where it is too large to travel, and the last one stays. */
  publish(meta: unknown): boolean;
  /** Ourselves included. */
  members(): readonly Member[];
  /** To be persisted before the next run. */
  readonly incarnation: number;
  /** Another run of our name has won; this one has fallen silent. */
  readonly yielded: boolean;
  readonly healthScore: number;
  readonly counters: Readonly<GossipCounters>;
  readonly claimCounters: Readonly<MembershipCounters>;
  counts(): Record<MemberState, number>;
  /** For the file that the next run starts from. */
  lastKnownPeers(): readonly string[];
}

export function createGossip(parts: GossipParts): Gossip {
  const { name, boot, address, clock, random, transport } = parts;
  const health = createHealthScore();
  const first: Claim = {
    name,
    boot,
    address,
    incarnation: parts.incarnation,
    state: "alive",
    seq: 1,
    meta: parts.meta,
  };
  const membership: Membership = createMembership(first, (event) => onEvent(event), clock.now());
  const detector: Detector = createDetector({
    membership,
    health,
    clock,
    random,
    running: () => running,
    ping: (who, at, timeoutMs, fresh) =>
      converse(at, pingOf(who, accusationOf(who)), timeoutMs, { fresh, expected: who }),
    ask: (helper, who, at, timeoutMs) => askFor(helper, who, at, timeoutMs),
  });
  const counters: GossipCounters = {
    rounds: 0,
    probes: detector.verdicts,
    rejected: { malformed: 0, version: 0, stopped: 0, misdirected: 0 },
  };
  const roundOrder = createTurnOrder(membership.others, random);
  let exchanges = 0;
  let running = false;
  const timers = new Map<string, () => void>();

  const dialling: Dialling = createDialling(
    {
      random,
      seeds: parts.seeds,
      lastKnown: parts.lastKnown,
      size: membership.size,
      known: (at) => at === address || membership.all().some((m) => m.claim.address === at && isPresent(m)),
      present(who) {
        const member = membership.named(who);
        return who === name || isPresent(member);
      },
      call: (at) => exchange(at, undefined),
    },
    clock.now(),
  );

  function onEvent(event: MembershipEvent): void {
    parts.tell(event);
    if (event.kind === "accused") {
      health.accused();
      refute(event.by);
    } else if (event.kind === "suspected") {
      const who = event.member.claim.name;
      if (random() < gossipRule.confirmers / membership.size()) detector.lookAfter(who);
    } else if (event.kind === "dead") {
      dialling.died(event.member.claim.name, event.member.claim.address);
    } else if (event.kind === "conflict") {
      if (event.yielded) stop();
    } else if (event.kind === "forgotten") {
      detector.clear(event.member.claim.name);
    } else if (event.kind !== "updated") {
      const { name: who } = event.member.claim;
      dialling.returned(who);
      roundOrder.add(who);
      detector.add(who);
    }
  }

  function stop(): void {
    running = false;
    for (const cancel of timers.values()) cancel();
    timers.clear();
  }

  /** Runs `action` again and again; it is told how much too late the timer came. */
  const repeat = (timer: string, delayMs: () => number, action: (lateMs: number) => void): void => {
    if (!running) return;
    const wait = delayMs();
    const due = clock.now() + wait;
    const fire = (): void => {
      action(clock.now() - due);
      repeat(timer, delayMs, action);
    };
    timers.set(timer, clock.after(wait, fire));
  };

  const spread = (ms: number): number => ms * (1 - gossipRule.jitter + 2 * gossipRule.jitter * random());

  // Talking.

  const envelope = (claims: readonly Claim[]) => ({
    v: ourVersions,
    from: { name, boot, address },
    claims,
  });

  /** What we hold against whoever speaks, so that it hears so: an accusation, or another run of its name. */
  const objectionTo = (from: Sender): readonly Claim[] => {
    const claim = membership.named(from.name)?.claim;
    return claim !== undefined && claim.boot !== from.boot ? [claim] : accusationOf(from.name);
  };

  /** What speaks against a member. */
  const accusationOf = (who: string | undefined): readonly Claim[] => {
    const claim = who === undefined ? undefined : membership.named(who)?.claim;
    return who !== name && (claim?.state === "suspect" || claim?.state === "dead") ? [claim] : [];
  };

  /** Sends, and takes over what comes back. `expected`: nobody else may answer there. */
  const converse = async (
    to: string,
    message: Message,
    timeoutMs: number,
    options: { fresh?: boolean; expected?: string | undefined } = {},
  ): Promise<Answer> => {
    const { expected } = options;
    const addressed: Message = expected === undefined ? message : { ...message, for: expected };
    const sent = await transport.send(to, addressed, { timeoutMs, fresh: options.fresh ?? false });
    if ("failed" in sent) return sent;
    const reply = readReply(sent.reply);
    if (reply === undefined) return { failed: "its answer was not understood" };
    if (!membership.yielded) {
      membership.merge(reply.claims, reply.from.name, clock.now());
      membership.heard(reply.from, clock.now());
    }
    if (expected !== undefined && reply.from.name !== expected)
      return { failed: `${reply.from.name} answered at its address` };
    detector.clear(reply.from.name);
    return { reply };
  };

  /** News for news, until there is no more. Answers who it was. */
  async function exchange(to: string, expected: string | undefined): Promise<string | undefined> {
    for (let turn = 0; turn < gossipRule.followMost; turn += 1) {
      const who = expected ?? membership.all().find((m) => m.claim.address === to)?.claim.name;
      const claims = [...membership.news(clock.now(), gossipRule.newsMost), ...accusationOf(who)];
      const message: Sync = { ...envelope(claims), kind: "sync", digest: membership.digest() };
      const answer = await converse(to, message, gossipRule.exchangeTimeoutMs, { expected });
      if ("failed" in answer) return undefined;
      const { from, more } = answer.reply;
      // Our name and not us: whose name it is must be settled first, so this counts as nobody.
      if (from.name === name && from.boot !== boot) return undefined;
      if (more !== true || membership.yielded) return from.name;
    }
    return expected;
  }

  const pingOf = (who: string, about: readonly Claim[]): Ping => ({
    ...envelope([...membership.news(clock.now(), gossipRule.probeNewsMost), ...about]),
    kind: "ping",
    to: who,
  });

  const askFor = (helper: string, who: string, at: string, timeoutMs: number): Promise<Answer> => {
    const message: Ask = {
      ...envelope([...membership.news(clock.now(), 1), ...accusationOf(who)]),
      kind: "ask",
      to: who,
      address: at,
      timeoutMs: timeoutMs * probeRule.helperShare,
    };
    const helperAt = membership.named(helper)?.claim.address ?? "";
    return converse(helperAt, message, timeoutMs, { expected: helper });
  };

  /** To the accuser, who holds the timer, and to some others, in case it cannot hear us. */
  function refute(accuser: string): void {
    const others = shuffled(membership.others(), random).slice(0, gossipRule.refutationsSent);
    for (const who of new Set([accuser, ...others])) {
      const member = membership.named(who);
      if (member !== undefined && who !== name)
        void converse(member.claim.address, pingOf(who, []), probeRule.timeoutMs);
    }
  }

  // Rounds.

  const round = (): void => {
    if (exchanges >= gossipRule.exchangesMost) return;
    const who = roundOrder.next((other) => isPresent(membership.named(other)));
    const member = who === undefined ? undefined : membership.named(who);
    if (who === undefined || member === undefined) return;
    counters.rounds += 1;
    exchanges += 1;
    void exchange(member.claim.address, who).then((answered) => {
      exchanges -= 1;
      if (answered === undefined) detector.lookAfter(who);
    });
  };

  const beat = (lateMs: number): void => {
    const late = lateMs > healthRule.lateMs;
    if (late) health.late();
    membership.sweep(clock.now(), late ? lateMs : 0);
    round();
  };

  const beatMs = (): number => {
    const peers = Math.max(1, Math.min(gossipRule.fanout, membership.others().length));
    return spread(gossipRule.roundMs / peers);
  };

  // Answering.

  const answerAsk = async (ask: Ask): Promise<boolean> => {
    const told = ask.claims.filter((claim) => claim.name === ask.to);
    const timeoutMs = Math.min(ask.timeoutMs, gossipRule.askTimeoutMostMs);
    const answer = await converse(ask.address, pingOf(ask.to, told), timeoutMs, { expected: ask.to });
    return "reply" in answer;
  };

  const replyTo = async (message: Message): Promise<Reply> => {
    const { from } = message;
    switch (message.kind) {
      case "sync": {
        const { claims, more } = membership.betterThan(message.digest);
        return { ...envelope([...claims, ...objectionTo(from)]), kind: "reply", ...(more ? { more } : {}) };
      }
      case "ping": {
        const claims = membership.news(clock.now(), gossipRule.probeNewsMost);
        return { ...envelope([...claims, ...objectionTo(from)]), kind: "reply" };
      }
      case "ask": {
        const reached = await answerAsk(message);
        return { ...envelope(membership.news(clock.now(), 1)), kind: "reply", reached };
      }
    }
  };

  const refuse = (because: Refusal["because"]): Refusal => {
    counters.rejected[because] += 1;
    return { v: ourVersions, kind: "refusal", because };
  };

  return {
    start() {
      running = true;
      repeat("beat", beatMs, beat);
      repeat("probe", () => spread(probeRule.everyMs * health.stretch), detector.turn);
      repeat(
        "dial",
        () => diallingRule.everyMs,
        () => dialling.turn(clock.now()),
      );
      dialling.turn(clock.now());
    },
    stop,
    async leave() {
      const others = shuffled(membership.others(), random).slice(0, gossipRule.farewellsSent);
      stop();
      membership.leave(clock.now());
      await Promise.all(
        others.map(async (who) => {
          const member = membership.named(who);
          if (member !== undefined)
            await converse(member.claim.address, pingOf(who, []), probeRule.timeoutMs);
        }),
      );
    },
    async handle(arrived) {
      const message = readMessage(arrived);
      if (typeof message === "string") return refuse(message);
      if (membership.yielded) return refuse("stopped");
      if (message.for !== undefined && message.for !== name) return refuse("misdirected");
      membership.merge(message.claims, message.from.name, clock.now());
      // What is meant for anybody may have been caught and played again: it is no sign of life.
      if (message.for === name) {
        membership.heard(message.from, clock.now());
        detector.clear(message.from.name);
      }
      if (membership.yielded) return refuse("stopped");
      return replyTo(message);
    },
    publish: (meta) => membership.publish(meta, clock.now()),
    members: membership.all,
    get incarnation() {
      return membership.self.incarnation;
    },
    get yielded() {
      return membership.yielded;
    },
    get healthScore() {
      return health.score;
    },
    counters,
    claimCounters: membership.counters,
    counts() {
      const counts = { alive: 0, suspect: 0, dead: 0, left: 0 } satisfies Record<MemberState, number>;
      for (const { state } of membership.all()) counts[state] += 1;
      return counts;
    },
    lastKnownPeers() {
      const byHope = membership
        .all()
        .filter(({ claim }) => claim.name !== name && claim.state !== "left")
        .sort((a, b) => memberStates.indexOf(a.claim.state) - memberStates.indexOf(b.claim.state));
      return byHope.map(({ claim }) => claim.address).slice(0, diallingRule.lastKnownMost);
    },
  };
}
