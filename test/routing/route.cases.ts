// The routing policy as a table: situations and the decision that each must lead to.
// g… stands on the gold tier, s… on silver, b… on bronze; p at the end is behind a peer.

import type { OutcomeKind } from "../../src/fleet/outcome.ts";
import type { Seen } from "../support/views.ts";

export interface RouteCase {
  readonly title: string;
  /** Default: realtime. */
  readonly sla?: "realtime" | "interactive" | "async";
  readonly endpoints: Readonly<Record<string, Seen>>;
  /** Default: gold, silver, bronze. */
  readonly ladder?: readonly ("gold" | "silver" | "bronze")[];
  readonly model?: string;
  readonly stream?: boolean;
  /** Default: 1000. */
  readonly leftMs?: number;
  /** Of a stream: so long it would rather wait than go to the next rung. Default: as long as it has. */
  readonly waitsMs?: number;
  /** Default: the request has none. */
  readonly share?: number;
  readonly tried?: Readonly<Record<string, OutcomeKind>>;
  readonly session?: string;
  /** This host is draining. */
  readonly elsewhere?: boolean;
  readonly laneMs?: number;
  readonly pressureBelow?: number;
  /** Forwarded to this endpoint. */
  readonly only?: string;
  /** Fewer than half of the peers are neither suspect nor draining. */
  readonly panic?: boolean;
  /** `try NAME REASON`, `wait NAME REASON MOST_MS`, `defer REASON` or `shed REASON`. */
  readonly decision: string;
}

const peer: Seen = { peer: {} };
const farPeer: Seen = { peer: { far: true } };
const full: Seen = { inflight: 2 };
const crowded: Seen = { inflight: 2, waiting: 2 };
const poolOnly: Seen = { inflight: 2, queueLimit: 0 };

export const routeCases: readonly RouteCase[] = [
  // Where to go when all is well.
  { title: "the first rung is free", endpoints: { g: {}, s: {} }, decision: "try g local-first" },
  {
    title: "the least pressed of a rung is taken",
    endpoints: { g1: { inflight: 1 }, g2: {} },
    decision: "try g2 local-first",
  },
  {
    title: "the ladder counts, not the order of the endpoints",
    endpoints: { b: {}, s: {}, g: {} },
    ladder: ["silver", "gold", "bronze"],
    decision: "try s local-first",
  },
  {
    title: "a busy first rung with one free slot still comes before an idle second one",
    endpoints: { g: { inflight: 1, pressure: 0.9 }, s: {} },
    decision: "try g local-first",
  },
  {
    title: "a rung without endpoints is passed over",
    endpoints: { g: {} },
    ladder: ["bronze", "gold"],
    decision: "try g fallback-from-bronze",
  },
  {
    title: "a tier that is not on the ladder is not used, however idle",
    endpoints: { g: { health: "unhealthy" }, s: {} },
    ladder: ["gold"],
    decision: "shed no-endpoint",
  },
  { title: "nobody at all", endpoints: {}, decision: "shed no-endpoint" },
  { title: "an empty ladder", endpoints: { g: {} }, ladder: [], decision: "shed no-endpoint" },

  // Each exclusion sends the request a rung down.
  {
    title: "an unhealthy endpoint is left",
    endpoints: { g: { health: "unhealthy" }, s: {} },
    decision: "try s fallback-from-gold",
  },
  {
    title: "health that nobody knows yet is no reason to leave",
    endpoints: { g: { health: "unknown" }, s: {} },
    decision: "try g local-first",
  },
  {
    title: "a silent endpoint is left",
    endpoints: { g: { silent: true }, s: {} },
    decision: "try s fallback-from-gold",
  },
  {
    title: "a barred endpoint is left",
    endpoints: { g: { barred: true }, s: {} },
    decision: "try s fallback-from-gold",
  },
  {
    title: "an open breaker is left",
    endpoints: { g: { open: ["m"] }, s: {} },
    decision: "try s fallback-from-gold",
  },
  {
    title: "the breaker of another model is not asked",
    endpoints: { g: { models: ["m", "n"], open: ["n"] }, s: {} },
    model: "m",
    decision: "try g local-first",
  },
  {
    title: "where any model will do, the breaker of the first is asked",
    endpoints: { g: { models: ["m", "n"], open: ["m"] }, s: {} },
    decision: "try s fallback-from-gold",
  },
  {
    title: "an endpoint that asked to be left alone is left alone",
    endpoints: { g: { pushedBack: true }, s: {} },
    decision: "try s fallback-from-gold",
  },
  {
    title: "a stream goes down where the usual first byte comes too late",
    endpoints: { g: { usualFirstByteMs: 60, inflight: 1 }, s: { usualFirstByteMs: 20 } },
    stream: true,
    leftMs: 50,
    decision: "try s fallback-from-gold",
  },
  {
    title: "a stream stays where the usual first byte comes in time",
    endpoints: { g: { usualFirstByteMs: 49, inflight: 1 }, s: {} },
    stream: true,
    leftMs: 50,
    decision: "try g local-first",
  },
  {
    title: "a whole answer is not judged by others' first bytes",
    endpoints: { g: { usualFirstByteMs: 60, inflight: 1 } },
    leftMs: 50,
    decision: "try g local-first",
  },
  {
    title: "two rungs down, the first rung is still the one fallen from",
    endpoints: { g: { silent: true }, s: { barred: true }, b: {} },
    decision: "try b fallback-from-gold",
  },

  // Models.
  {
    title: "a pinned model is looked for on every rung",
    endpoints: { g: { models: ["m"] }, s: { models: ["n"] } },
    model: "n",
    decision: "try s fallback-from-gold",
  },
  {
    title: "a pinned model picks among a rung's endpoints",
    endpoints: { g1: { models: ["m"] }, g2: { models: ["n"], inflight: 1 } },
    model: "n",
    decision: "try g2 local-first",
  },
  {
    title: "an endpoint that has not said what it serves may serve it",
    endpoints: { g: { models: "unsaid" } },
    model: "n",
    decision: "try g local-first",
  },
  {
    title: "a model that nobody serves has no endpoint, and no guess",
    endpoints: { g: { models: ["m"], barred: true }, s: {} },
    model: "n",
    decision: "shed no-endpoint",
  },
  {
    title: "an endpoint that says it serves nothing serves no pinned model",
    endpoints: { g: { models: [] } },
    model: "n",
    decision: "shed no-endpoint",
  },

  // Full: wait, or the next rung.
  {
    title: "a full first rung is waited for, though the second is idle",
    endpoints: { g: full, s: {} },
    decision: "wait g local-full 1000",
  },
  {
    title: "the emptier waiting room is chosen",
    endpoints: { g1: { inflight: 2, waiting: 1 }, g2: full },
    decision: "wait g2 local-full 1000",
  },
  {
    title: "no waiting where the turn would come too late: the next rung",
    endpoints: { g: { inflight: 2, expectedWaitMs: 1000 }, s: {} },
    decision: "try s fallback-from-gold",
  },
  {
    title: "waiting where the turn comes just in time",
    endpoints: { g: { inflight: 2, expectedWaitMs: 999 }, s: {} },
    decision: "wait g local-full 1000",
  },
  {
    title: "no waiting in a full room: the next rung",
    endpoints: { g: crowded, s: {} },
    decision: "try s fallback-from-gold",
  },
  {
    title: "no waiting without a room: the next rung",
    endpoints: { g: poolOnly, s: {} },
    decision: "try s fallback-from-gold",
  },
  {
    title: "a full endpoint with a room is waited for beside one without",
    endpoints: { g1: poolOnly, g2: full },
    decision: "wait g2 local-full 1000",
  },
  {
    title: "the second rung is waited for when the first has neither slot nor place",
    endpoints: { g: crowded, s: full },
    decision: "wait s local-full 1000",
  },
  {
    title: "more in flight than slots, after a reload, is full and not a bug",
    endpoints: { g: { inflight: 9 } },
    decision: "wait g local-full 1000",
  },

  {
    title: "no waiting where the answer would come too late, though the turn would not: the next rung",
    endpoints: { g: { inflight: 2, expectedWaitMs: 500, enoughMs: 500 }, s: {} },
    decision: "try s fallback-from-gold",
  },
  {
    title: "waiting leaves the time that is enough for an answer",
    endpoints: { g: { inflight: 2, expectedWaitMs: 499, enoughMs: 500 }, s: {} },
    decision: "wait g local-full 500",
  },
  {
    title: "where others' answers take longer than it ever had, it asks for less, and waits",
    endpoints: { g: { inflight: 2, expectedWaitMs: 499, enoughMs: 5000 }, s: {} },
    decision: "wait g local-full 1000",
  },

  // Full, and a stream: it was promised its first byte earlier than its last.
  {
    title: "a stream that would wait too long goes to the next rung",
    endpoints: { g: { inflight: 2, expectedWaitMs: 500 }, s: {} },
    waitsMs: 500,
    decision: "try s fallback-from-gold",
  },
  {
    title: "a stream waits while its turn is likely to come soon, and no longer",
    endpoints: { g: { inflight: 2, expectedWaitMs: 499 }, s: {} },
    waitsMs: 500,
    decision: "wait g local-full 500",
  },
  {
    title: "a stream that has waited goes to the next rung, whatever is expected",
    endpoints: { g: full, s: {} },
    waitsMs: 0,
    decision: "try s fallback-from-gold",
  },
  {
    title: "a stream waits on the rung where its turn comes soon",
    endpoints: { g: { inflight: 2, expectedWaitMs: 600 }, s: { inflight: 2, expectedWaitMs: 400 } },
    waitsMs: 500,
    decision: "wait s local-full 500",
  },
  {
    title: "a stream waits on its first rung where nobody has room soon",
    endpoints: { g: { inflight: 2, expectedWaitMs: 700 }, s: { inflight: 2, expectedWaitMs: 600 } },
    waitsMs: 500,
    decision: "wait g local-full 1000",
  },
  {
    title: "a stream that nobody has room for soon waits in the emptier room of its first rung",
    endpoints: {
      g1: { inflight: 2, waiting: 1, expectedWaitMs: 700 },
      g2: { inflight: 2, expectedWaitMs: 600 },
      s: { inflight: 2, expectedWaitMs: 600 },
    },
    waitsMs: 500,
    decision: "wait g2 local-full 1000",
  },
  {
    title: "a stream that its share keeps from the next rung waits on its first after all",
    endpoints: { s: { inflight: 2, expectedWaitMs: 700 }, g: { overShare: "spilled", expectedWaitMs: 700 } },
    sla: "interactive",
    ladder: ["silver", "gold"],
    waitsMs: 500,
    decision: "wait s local-full 1000",
  },
  {
    title: "a stream waits no longer than it has, however long it would",
    endpoints: { g: { inflight: 2, expectedWaitMs: 999 }, s: {} },
    waitsMs: 5000,
    decision: "wait g local-full 1000",
  },
  {
    title: "a stream whose answer would come too late everywhere is told so",
    endpoints: { g: { inflight: 2, expectedWaitMs: 700, enoughMs: 400 } },
    waitsMs: 500,
    decision: "shed too-late",
  },
  {
    title: "a stream that peers had no room for waits here after all, though its turn comes late",
    endpoints: {
      g: { inflight: 2, expectedWaitMs: 700 },
      gp1: { peer: {} },
      gp2: { peer: {} },
      gp3: { peer: {} },
    },
    waitsMs: 500,
    tried: { gp1: "busy", gp2: "busy" },
    decision: "wait g local-full 1000",
  },

  // A share of the slots; there are two of them, so half of them is one.
  {
    title: "within its share a request is served like any other",
    endpoints: { g: { slots: 8, inflight: 7, sharing: 1 }, s: {} },
    share: 0.25,
    decision: "try g local-first",
  },
  {
    title: "a share that is taken sends its requests elsewhere on the rung",
    endpoints: { g1: { sharing: 1 }, g2: { inflight: 1 } },
    share: 0.5,
    decision: "try g2 local-first",
  },
  {
    title: "a share that is taken sends its requests a rung down",
    endpoints: { g: { sharing: 1 }, s: {} },
    share: 0.5,
    decision: "try s fallback-from-gold",
  },
  {
    title: "a share that is taken is no concern of a request without one",
    endpoints: { g: { sharing: 1 }, s: {} },
    decision: "try g local-first",
  },
  {
    title: "a share is at least one slot",
    endpoints: { g: { slots: 4 } },
    share: 0.01,
    decision: "try g local-first",
  },
  {
    title: "a share is rounded down, for the rest belongs to others",
    endpoints: { g: { slots: 7, sharing: 3 } },
    share: 0.5,
    decision: "shed pool-full",
  },
  {
    title: "a share that is taken everywhere is a full pool, and nothing to wait for",
    endpoints: { g: { sharing: 1 }, s: { sharing: 1 } },
    share: 0.5,
    decision: "shed pool-full",
  },
  {
    title: "a taken share of a full endpoint is not waited for",
    endpoints: { g: { inflight: 2, sharing: 1 } },
    share: 0.5,
    decision: "shed pool-full",
  },
  {
    title: "where slots are full but the share is not, a request with a share waits like any other",
    endpoints: { g: full },
    share: 0.5,
    decision: "wait g local-full 1000",
  },
  {
    title: "a request with a share is no guess: it has another answer",
    endpoints: { g: { pushedBack: true }, s: { barred: true }, b: { silent: true } },
    share: 0.5,
    decision: "shed no-endpoint",
  },
  {
    title: "a taken share does not hide that nobody is there",
    endpoints: { g: { silent: true, sharing: 1 } },
    share: 0.5,
    decision: "shed no-endpoint",
  },

  // Shed, with the reason.
  { title: "every slot taken and no room", endpoints: { g: poolOnly }, decision: "shed pool-full" },
  { title: "every slot and every place taken", endpoints: { g: crowded }, decision: "shed queue-full" },
  {
    title: "a place, but no hope of a turn in time",
    endpoints: { g: { inflight: 2, expectedWaitMs: 5000 } },
    decision: "shed too-late",
  },
  {
    title: "a stream for which every first byte comes too late",
    endpoints: { g: { usualFirstByteMs: 2000, inflight: 1 } },
    stream: true,
    decision: "shed too-late",
  },
  {
    title: "the deadline is over: nothing is started",
    endpoints: { g: {}, s: {} },
    leftMs: 0,
    decision: "shed too-late",
  },
  {
    title: "the deadline is over: nobody waits",
    endpoints: { g: full },
    leftMs: -5,
    decision: "shed too-late",
  },
  {
    title: "all unhealthy: a veto is not guessed against",
    endpoints: { g: { health: "unhealthy" }, s: { health: "unhealthy" } },
    decision: "shed no-endpoint",
  },

  // Panic: nobody looks well, and a guess is better than a refusal.
  {
    title: "all silent: a guess",
    endpoints: { g: { silent: true } },
    decision: "try g panic",
  },
  {
    title: "pushed back is the best guess, and no panic",
    endpoints: { g: { silent: true }, s: { pushedBack: true }, b: { barred: true } },
    decision: "try s fallback-from-gold",
  },
  {
    title: "pushed back on the first rung, and nobody else",
    endpoints: { g: { pushedBack: true } },
    decision: "try g local-first",
  },
  {
    title: "barred before broken",
    endpoints: { g: { open: "all" }, s: { barred: true } },
    decision: "try s panic",
  },
  {
    title: "broken before silent",
    endpoints: { g: { silent: true }, s: { open: "all" } },
    decision: "try s panic",
  },
  {
    title: "among equal guesses the upper rung",
    endpoints: { g: { barred: true }, s: { barred: true } },
    decision: "try g panic",
  },
  {
    title: "a guess needs a free slot",
    endpoints: { g: { silent: true, inflight: 2 }, s: { silent: true } },
    decision: "try s panic",
  },
  {
    title: "no guess with every slot of it taken",
    endpoints: { g: { silent: true, inflight: 2 } },
    decision: "shed no-endpoint",
  },
  {
    title: "no guess beside an endpoint that is merely full",
    endpoints: { g: { barred: true }, s: crowded },
    decision: "shed queue-full",
  },
  {
    title: "an unhealthy endpoint is no guess even beside worse-looking ones",
    endpoints: { g: { health: "unhealthy", pushedBack: true }, s: { silent: true } },
    decision: "try s panic",
  },

  // After an attempt.
  {
    title: "an endpoint is not tried twice, its neighbour is",
    endpoints: { g1: {}, g2: { inflight: 1 } },
    tried: { g1: "server-error" },
    decision: "try g2 retry-after-server-error",
  },
  {
    title: "the last failure gives the reason",
    endpoints: { g1: {}, g2: {}, g3: {} },
    tried: { g1: "refused", g2: "timeout" },
    decision: "try g3 retry-after-timeout",
  },
  {
    title: "a retry a rung down is called a fallback",
    endpoints: { g: {}, s: {} },
    tried: { g: "reset" },
    decision: "try s fallback-from-gold",
  },
  {
    title: "a retry may wait",
    endpoints: { g1: {}, g2: full },
    tried: { g1: "busy" },
    decision: "wait g2 local-full 1000",
  },
  {
    title: "no second guess after a failure",
    endpoints: { g: {}, s: { silent: true } },
    tried: { g: "refused" },
    decision: "shed no-endpoint",
  },
  {
    title: "no push-back is overridden after a failure",
    endpoints: { g: {}, s: { pushedBack: true } },
    tried: { g: "busy" },
    decision: "shed no-endpoint",
  },
  {
    title: "everybody tried",
    endpoints: { g: {}, s: {} },
    tried: { g: "reset", s: "garbage" },
    decision: "shed no-endpoint",
  },

  // Peers: after a free slot here, before the waiting room here.
  {
    title: "a free slot here comes before an idle peer",
    endpoints: { g: { inflight: 1, pressure: 0.9 }, gp: peer },
    decision: "try g local-first",
  },
  {
    title: "a peer with room comes before the waiting room here",
    endpoints: { g: full, gp: peer },
    decision: "try gp peer-less-pressed",
  },
  {
    title: "one peer that had no room after all is no reason to wait here yet",
    endpoints: { g: full, g1p: peer, g2p: peer },
    tried: { g1p: "busy" },
    decision: "try g2p retry-after-busy",
  },
  {
    title: "after two of them the waiting room here is surer than a third",
    endpoints: { g: full, g1p: peer, g2p: peer, g3p: peer },
    tried: { g1p: "busy", g2p: "busy" },
    decision: "wait g local-full 1000",
  },
  {
    title: "after two of them a third will do where there is no room here",
    endpoints: { g: crowded, g1p: peer, g2p: peer, g3p: peer },
    tried: { g1p: "busy", g2p: "busy" },
    decision: "try g3p retry-after-busy",
  },
  {
    title: "a peer on the first rung comes before a free slot on the second",
    endpoints: { g: full, gp: peer, s: {} },
    decision: "try gp peer-less-pressed",
  },
  {
    title: "the less pressed of two peers is taken",
    endpoints: { g: full, g1p: { peer: {}, pressure: 0.6 }, g2p: { peer: {}, pressure: 0.5 } },
    decision: "try g2p peer-less-pressed",
  },
  {
    title: "a peer without room is not taken, however it looks from here",
    endpoints: { g: full, gp: { peer: { free: 0 }, pressure: 0 } },
    decision: "wait g local-full 1000",
  },
  {
    title: "a peer whose room is others' share is left to them",
    endpoints: { g: full, gp: { peer: { spokenFor: true } } },
    decision: "wait g local-full 1000",
  },
  {
    title: "where no peer has room and the room here is full: the next rung",
    endpoints: { g: crowded, gp: { peer: { free: 0 } }, s: {} },
    decision: "try s fallback-from-gold",
  },
  {
    title: "the second rung may be a peer's",
    endpoints: { g: crowded, sp: peer },
    decision: "try sp fallback-from-gold",
  },
  {
    title: "full here and full there is a full pool",
    endpoints: { g: poolOnly, gp: { peer: { free: 0 } } },
    decision: "shed pool-full",
  },
  {
    title: "a broken engine here beside full peers is a full pool, and no guess",
    endpoints: { g: { open: "all" }, gp: { peer: { free: 0 } } },
    decision: "shed pool-full",
  },
  {
    title: "a peer that refused a moment ago for want of a slot is full",
    endpoints: { gp: { peer: {}, pushedBack: true } },
    decision: "shed pool-full",
  },
  {
    title: "a peer's room that is others' share is a full pool",
    endpoints: { gp: { peer: { spokenFor: true } } },
    decision: "shed pool-full",
  },
  {
    title: "a share that is taken here sends its requests to a peer",
    endpoints: { g: { sharing: 1 }, gp: peer },
    share: 0.5,
    decision: "try gp peer-less-pressed",
  },

  // Why it went to a peer.
  { title: "no engine of that tier here", endpoints: { gp: peer, s: {} }, decision: "try gp not-local" },
  {
    title: "no engine with that model here",
    endpoints: { g: { models: ["m"] }, gp: { models: ["n"], peer: {} } },
    model: "n",
    decision: "try gp not-local",
  },
  {
    title: "every engine here has its breaker open",
    endpoints: { g: { open: "all" }, gp: peer },
    decision: "try gp breaker-open-locally",
  },
  {
    title: "the engine here is unhealthy",
    endpoints: { g: { health: "unhealthy" }, gp: peer },
    decision: "try gp local-unhealthy",
  },
  {
    title: "the engine here is silent",
    endpoints: { g: { silent: true }, gp: peer },
    decision: "try gp local-unhealthy",
  },
  {
    title: "the engine here refused connections a moment ago",
    endpoints: { g: { barred: true }, gp: peer },
    decision: "try gp local-unhealthy",
  },
  {
    title: "one engine here is full and another broken: it is load that sends the request away",
    endpoints: { g1: full, g2: { open: "all" }, gp: peer },
    decision: "try gp peer-less-pressed",
  },
  {
    title: "a retry at a peer is called a retry",
    endpoints: { g: {}, gp: peer },
    tried: { g: "server-error" },
    decision: "try gp retry-after-server-error",
  },

  // Zones.
  {
    title: "a near peer comes before a far one that is a little less pressed",
    endpoints: { g1p: { peer: {}, pressure: 0.5 }, g2p: { peer: { far: true }, pressure: 0.25 } },
    decision: "try g1p not-local",
  },
  {
    title: "a far peer comes before a near one that is much more pressed",
    endpoints: { g1p: { peer: {}, pressure: 0.6 }, g2p: { peer: { far: true }, pressure: 0.3 } },
    decision: "try g2p not-local",
  },
  {
    title: "a far peer is taken where no near one has room",
    endpoints: { g1p: { peer: { free: 0 } }, g2p: farPeer },
    decision: "try g2p not-local",
  },
  {
    title: "a far peer on the first rung comes before a near one on the second",
    endpoints: { gp: farPeer, sp: peer },
    decision: "try gp not-local",
  },

  // What stands against a peer.
  {
    title: "a suspect peer gets nothing new",
    endpoints: { g: full, g1p: { peer: { suspect: true } }, g2p: { peer: {}, pressure: 0.9 } },
    decision: "try g2p peer-less-pressed",
  },
  {
    title: "a suspect peer is no guess either, while most are not",
    endpoints: { gp: { peer: { suspect: true } } },
    decision: "shed no-endpoint",
  },
  {
    title: "a joiner that has its part comes after whoever has room",
    endpoints: { g: full, g1p: { peer: { joining: true } }, g2p: { peer: {}, pressure: 0.9 } },
    decision: "try g2p peer-less-pressed",
  },
  {
    title: "a joiner has all its slots for whoever finds no room elsewhere, before anybody waits or falls",
    endpoints: { g: full, g1p: { peer: { joining: true } }, g2p: { peer: { free: 0 } }, s: {} },
    decision: "try g1p peer-less-pressed",
  },
  {
    title: "a joiner without a free slot is as full as anybody",
    endpoints: { g1p: { peer: { joining: true, free: 0 } }, s: {} },
    decision: "try s fallback-from-gold",
  },
  {
    title: "a draining peer gets nothing new",
    endpoints: { gp: { peer: { refusal: "draining" } }, s: {} },
    decision: "try s fallback-from-gold",
  },
  {
    title: "a peer that says its engine is in trouble gets nothing new, and is no guess",
    endpoints: { gp: { peer: { refusal: "troubled-there" } } },
    decision: "shed no-endpoint",
  },
  {
    title: "a peer that was not heard of for long gets nothing new, and is no guess",
    endpoints: { gp: { peer: { refusal: "stale" } } },
    decision: "shed no-endpoint",
  },
  {
    title: "a peer that refuses connections is left by what we know ourselves",
    endpoints: { g1p: { peer: {}, barred: true }, g2p: { peer: {}, pressure: 0.9 } },
    decision: "try g2p not-local",
  },
  {
    title: "a peer that only we think badly of may be guessed at when nobody is left",
    endpoints: { gp: { peer: {}, barred: true } },
    decision: "try gp panic",
  },
  {
    title: "a suspect peer that we think badly of as well is no guess",
    endpoints: { gp: { peer: { suspect: true }, barred: true } },
    panic: true,
    decision: "shed no-endpoint",
  },
  {
    title: "an unhealthy engine here is no guess, a barred peer is",
    endpoints: { g: { health: "unhealthy" }, gp: { peer: {}, barred: true } },
    decision: "try gp panic",
  },

  // Panic: too many are suspect for suspicion to be right.
  {
    title: "when most peers are suspect, a suspect one with room is taken",
    endpoints: { g: full, gp: { peer: { suspect: true } } },
    panic: true,
    decision: "try gp panic",
  },
  {
    title: "when most peers are suspect, one that is not comes first",
    endpoints: { g1p: { peer: { suspect: true } }, g2p: { peer: {}, pressure: 0.9 } },
    panic: true,
    decision: "try g2p not-local",
  },
  {
    title: "panic overrides suspicion and nothing else",
    endpoints: {
      g1p: { peer: { suspect: true, refusal: "draining" } },
      g2p: { peer: { suspect: true, free: 0 } },
      g3p: { peer: { suspect: true, refusal: "troubled-there" } },
    },
    panic: true,
    decision: "shed pool-full",
  },
  {
    title: "in panic the less pressed suspect is taken",
    endpoints: {
      g1p: { peer: { suspect: true }, pressure: 0.9 },
      g2p: { peer: { suspect: true }, pressure: 0.1 },
    },
    panic: true,
    decision: "try g2p panic",
  },
  {
    title: "a request with a share panics at nobody's door",
    endpoints: { gp: { peer: { suspect: true } } },
    panic: true,
    share: 0.5,
    decision: "shed no-endpoint",
  },

  // Affinity: after a free slot here.
  {
    title: "a session's request takes the free slot here, wherever its others went",
    endpoints: { g: {}, g1p: peer, g2p: peer },
    session: "player-1",
    decision: "try g local-first",
  },
  {
    title: "a session has its engine among several free ones here",
    endpoints: { g1: { inflight: 1, slots: 8 }, g2: { slots: 8 }, g3: { slots: 8 } },
    session: "player-1",
    decision: "try g1 affinity",
  },
  {
    title: "another session has another",
    endpoints: { g1: { inflight: 1, slots: 8 }, g2: { slots: 8 }, g3: { slots: 8 } },
    session: "player-6",
    decision: "try g3 affinity",
  },
  {
    title: "a session has its peer when nothing is free here, though another is less pressed",
    endpoints: { g: full, g1p: { peer: {}, pressure: 0.2 }, g2p: peer },
    session: "player-3",
    decision: "try g1p affinity",
  },
  {
    title: "a session's peer that is crowded beyond the others is not insisted on",
    endpoints: { g: full, g1p: { peer: {}, pressure: 0.6 }, g2p: { peer: {}, pressure: 0.3 } },
    session: "player-3",
    decision: "try g2p affinity",
  },
  {
    title: "a session's near peers come before far ones",
    endpoints: { g: full, g1p: farPeer, g2p: peer },
    session: "player-3",
    decision: "try g2p affinity",
  },
  {
    title: "what is wrong here says more than whose session it is",
    endpoints: { g: { open: "all" }, g1p: peer, g2p: peer },
    session: "player-3",
    decision: "try g1p breaker-open-locally",
  },

  // This host is draining.
  {
    title: "a draining host leaves its own free slots and sends new requests to peers",
    endpoints: { g: {}, gp: peer },
    elsewhere: true,
    decision: "try gp draining",
  },
  {
    title: "a draining host queues nothing, and goes a rung down for a peer",
    endpoints: { g: full, gp: { peer: { free: 0 } }, s: {}, sp: peer },
    elsewhere: true,
    decision: "try sp fallback-from-gold",
  },
  {
    title: "a draining host without peers says that it is draining",
    endpoints: { g: {} },
    elsewhere: true,
    decision: "shed draining",
  },
  {
    title: "a draining host whose peers are full says that they are",
    endpoints: { g: {}, gp: { peer: { free: 0 } } },
    elsewhere: true,
    decision: "shed pool-full",
  },

  // Forwarded by a peer.
  {
    title: "a forwarded request takes a free slot of the endpoint that it names",
    endpoints: { g1: {}, g2: { inflight: 1 } },
    only: "g2",
    decision: "try g2 local-only",
  },
  {
    title: "a forwarded request is not queued",
    endpoints: { g1: full, g2: {} },
    only: "g1",
    decision: "shed pool-full",
  },
  {
    title: "a forwarded request is not forwarded again",
    endpoints: { g: full, gp: peer },
    only: "gp",
    decision: "shed no-endpoint",
  },
  {
    title: "a forwarded request for an endpoint that is not here any more",
    endpoints: { g: {} },
    only: "g9",
    decision: "shed no-endpoint",
  },
  {
    title: "a forwarded request takes no guess",
    endpoints: { g: { silent: true } },
    only: "g",
    decision: "shed no-endpoint",
  },
  {
    title: "a forwarded request heeds what its engine asked for",
    endpoints: { g: { pushedBack: true } },
    only: "g",
    decision: "shed pool-full",
  },
  {
    title: "a forwarded stream that would come too late is not started",
    endpoints: { g: { usualFirstByteMs: 2000, inflight: 1 } },
    stream: true,
    only: "g",
    decision: "shed too-late",
  },
  {
    title: "a forwarded request is attempted once",
    endpoints: { g: {} },
    only: "g",
    tried: { g: "server-error" },
    decision: "shed no-endpoint",
  },
  {
    title: "a forwarded request need not be on this host's ladder",
    endpoints: { s: {} },
    ladder: [],
    only: "s",
    decision: "try s local-only",
  },

  // The async lane stands on the bronze rung.
  {
    title: "an async request is for the lane",
    endpoints: { g: {} },
    ladder: ["bronze"],
    laneMs: 0,
    decision: "defer deferred",
  },
  {
    title: "without a lane the bronze rung is as any other",
    endpoints: { g: {} },
    ladder: ["bronze"],
    decision: "shed no-endpoint",
  },
  {
    title: "who can be answered now does not go to the lane",
    endpoints: { g: {} },
    laneMs: 0,
    decision: "try g local-first",
  },
  {
    title: "nor who can wait for a slot",
    endpoints: { g: { inflight: 2, expectedWaitMs: 500 } },
    laneMs: 0,
    decision: "wait g local-full 1000",
  },
  {
    title: "who finds all full goes to the lane",
    endpoints: { g: crowded },
    laneMs: 0,
    decision: "defer deferred",
  },
  {
    title: "the lane is better than a guess",
    endpoints: { g: { open: "all" } },
    laneMs: 0,
    decision: "defer deferred",
  },
  {
    title: "who waits for the lane needs the time for it",
    endpoints: { g: crowded },
    laneMs: 999,
    decision: "defer deferred",
  },
  {
    title: "who has no more time than it needs is refused for what was in the way",
    endpoints: { g: crowded },
    laneMs: 1000,
    decision: "shed queue-full",
  },
  {
    title: "a ladder without bronze does not lead to the lane",
    endpoints: { g: crowded },
    ladder: ["gold"],
    laneMs: 0,
    decision: "shed queue-full",
  },
  {
    title: "who failed everywhere goes to the lane",
    endpoints: { g: {} },
    tried: { g: "server-error" },
    laneMs: 0,
    decision: "defer deferred",
  },

  // Work that yields to everybody.
  {
    title: "it takes what is hardly used",
    endpoints: { g: { slots: 4, inflight: 1 } },
    pressureBelow: 0.5,
    decision: "try g local-first",
  },
  {
    title: "of two it takes the one that is hardly used, on a lower rung as well",
    endpoints: { g: { slots: 4, inflight: 2 }, s: {} },
    pressureBelow: 0.5,
    decision: "try s fallback-from-gold",
  },
  {
    title: "it takes no slot of a half-full engine",
    endpoints: { g: { slots: 4, inflight: 2 } },
    pressureBelow: 0.5,
    decision: "shed pool-full",
  },
  {
    title: "nor the next one where somebody waits",
    endpoints: { g: { slots: 4, waiting: 1 } },
    pressureBelow: 0.5,
    decision: "shed pool-full",
  },
  { title: "it does not wait", endpoints: { g: full }, pressureBelow: 0.5, decision: "shed pool-full" },
  {
    title: "it does not guess",
    endpoints: { g: { open: "all" } },
    pressureBelow: 0.5,
    decision: "shed no-endpoint",
  },
  {
    title: "a peer's engine will do",
    endpoints: { g: full, gp: peer },
    pressureBelow: 0.5,
    decision: "try gp peer-less-pressed",
  },

  // Fair shares.
  {
    title: "a session over its share waits although there is a free slot",
    endpoints: { g: { overShare: ["p"], inflight: 1 } },
    session: "p",
    decision: "wait g local-full 1000",
  },
  {
    title: "another session takes that slot",
    endpoints: { g: { overShare: ["p"], inflight: 1 } },
    session: "q",
    decision: "try g local-first",
  },
  {
    title: "a session over its share goes to another endpoint of its tier",
    endpoints: { g1: { overShare: ["p"] }, g2: { inflight: 1 } },
    session: "p",
    decision: "try g2 local-first",
  },
  {
    title: "a session over its share here goes to a peer",
    endpoints: { g: { overShare: ["p"], inflight: 1 }, gp: peer },
    session: "p",
    decision: "try gp affinity",
  },
  {
    title: "a session over its share with no room to wait in is told so",
    endpoints: { g: { overShare: ["p"], inflight: 1, queueLimit: 0 } },
    session: "p",
    decision: "shed over-share",
  },
  {
    title: "a session over its share at a peer is told so",
    endpoints: { gp: { ...peer, overShare: ["p"] } },
    session: "p",
    decision: "shed over-share",
  },
  {
    title: "a forwarded request over its share is refused for that, and queued nowhere",
    endpoints: { g: { overShare: ["p"], inflight: 1 } },
    session: "p",
    only: "g",
    decision: "shed over-share",
  },
  {
    title: "who displaces somebody waits in a full room",
    endpoints: { g: { ...crowded, displaces: true } },
    decision: "wait g local-full 1000",
  },
  {
    title: "two peers that say over-share are as good a sign as two that are full",
    endpoints: { g: full, g1p: peer, g2p: peer, g3p: peer },
    tried: { g1p: "over-share", g2p: "over-share" },
    decision: "wait g local-full 1000",
  },
  {
    title: "realtime has spilled nowhere",
    endpoints: { g: { health: "unhealthy" }, s: { overShare: "spilled" } },
    decision: "try s fallback-from-gold",
  },
  {
    title: "interactive that silver has no room for finds only a part of gold",
    sla: "interactive",
    ladder: ["silver", "gold"],
    endpoints: { s: poolOnly, g: { overShare: "spilled", queueLimit: 0 } },
    decision: "shed over-share",
  },
  {
    title: "interactive that asks for gold by name is at home there",
    sla: "interactive",
    ladder: ["gold", "silver"],
    endpoints: { g: { overShare: "spilled" } },
    decision: "try g local-first",
  },
  {
    title: "what would take a job instead becomes one before others are shed",
    sla: "interactive",
    ladder: ["silver", "gold", "bronze"],
    endpoints: { s: poolOnly, g: { overShare: "spilled", queueLimit: 0 } },
    laneMs: 0,
    decision: "defer deferred",
  },
  {
    title: "a job is over nobody's share",
    endpoints: { g: { overShare: true } },
    pressureBelow: 0.5,
    decision: "try g local-first",
  },
];
