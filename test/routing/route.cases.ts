// The routing policy as a table: situations and the decision that each must lead to.
// g… stands on the gold tier, s… on silver, b… on bronze.

import type { OutcomeKind } from "../../src/fleet/outcome.ts";
import type { Seen } from "../support/views.ts";

export interface RouteCase {
  readonly title: string;
  readonly endpoints: Readonly<Record<string, Seen>>;
  /** Default: gold, silver, bronze. */
  readonly ladder?: readonly ("gold" | "silver" | "bronze")[];
  readonly model?: string;
  readonly stream?: boolean;
  /** Default: 1000. */
  readonly leftMs?: number;
  readonly tried?: Readonly<Record<string, OutcomeKind>>;
  /** `try NAME REASON`, `wait NAME REASON MOST_MS` or `shed REASON`. */
  readonly decision: string;
}

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
];
