// The loop around routing: ask, try, report the outcome, ask again with one more attempt in `tried`.

import type { Clock, Instant } from "../base/clock.ts";
import type { Leaving } from "../base/departure.ts";
import type { ErrorCode } from "../base/error-codes.ts";
import type { Random } from "../base/random.ts";
import type { Asked } from "../engines/look.ts";
import type { EndpointSpec } from "../fleet/endpoint.ts";
import type { EndpointState } from "../fleet/endpoint-state.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { readLoadHint } from "../fleet/load.ts";
import type { Outcome } from "../fleet/outcome.ts";
import { outcomeRow } from "../fleet/outcome.ts";
import type { Quarantine } from "../fleet/quarantine.ts";
import { admissionRule, holdsIn, retryAfterMs } from "../routing/admission.ts";
import { modelAt, whyNot } from "../routing/candidates.ts";
import type { Reason, Shed, TryReason } from "../routing/decision.ts";
import { afterWaiting } from "../routing/decision.ts";
import { besideOf } from "../routing/hedging.ts";
import { missedTiers } from "../routing/missed.ts";
import type { RoutingRequest, Tried } from "../routing/request.ts";
import { endsInLane, route } from "../routing/route.ts";
import type { CallEnd } from "./attempt.ts";
import { startCall } from "./attempt.ts";
import { createBreakdowns } from "./breakdowns.ts";
import { engineCall } from "./engine-call.ts";
import type { EngineLink } from "./engine-link.ts";
import type { Evacuation } from "./evacuation.ts";
import type { Contender, Finish, HedgeEnd, Unanswered } from "./hedge.ts";
import { race } from "./hedge.ts";
import { isUnknownThere, servesAnother } from "./hot-swap.ts";
import type { InferenceRequest } from "./inference-request.ts";
import { refusalOf, stopped } from "./refusal.ts";
import type { Relay } from "./relay.ts";
import type { RetryBudget } from "./retry-budget.ts";
import type { WaitingRooms } from "./waiting-room.ts";

export const dispatchRule = { attemptsMost: 3 } as const;

/** What became of one attempt, for the log and the counters. */
export interface AttemptRecord extends Tried {
  readonly because: TryReason;
  readonly ms: number;
  readonly why: string;
  readonly retryAfterMs: number | undefined;
}

/** How a request went so far; filled while it goes, complete when `onEnd` is called. */
export interface Journey {
  readonly tried: AttemptRecord[];
  /** Time spent waiting for a slot. */
  queuedMs: number;
  /** Time spent in calls to engines, until their answers could begin or they failed. */
  engineMs: number;
  /** `cached` and `joined`: the answer of another request. `quarantined`: engines died of it. */
  because: Reason | "cached" | "joined" | "quarantined";
  /** What became of the call that was made beside a slow one, where there was one. */
  hedge?: HedgeEnd;
}

/** Who gave the answer; where it is given again, perhaps long ago. */
export type AnsweredBy = Pick<EndpointSpec, "name" | "tier" | "locality">;

export interface Answer {
  readonly kind: "answer";
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: Uint8Array | Relay;
  readonly answeredBy: AnsweredBy;
  /** What the engine was asked for; undefined: its models were not known. */
  readonly model?: string | undefined;
  readonly attempts: number;
  readonly answeredAt: Instant;
  readonly journey: Journey;
  /** What the result cache did; `off` where it had no say. */
  readonly cache: "hit" | "join" | "miss" | "off";
  /** Of an answer that was kept. */
  readonly ageMs?: number;
}

export type Dispatched =
  | Answer
  | {
      readonly kind: "refusal";
      readonly code: ErrorCode;
      readonly message: string;
      readonly retryAfterMs: number | undefined;
      readonly journey: Journey;
    }
  /** The caller left before there was an answer. */
  | { readonly kind: "gone"; readonly journey: Journey }
  /** It is for the async lane. Nothing of it is stored yet: that is the door's to see to. */
  | { readonly kind: "defer"; readonly journey: Journey };

export interface DispatchEvents {
  /** A call is over. */
  attemptEnded(endpoint: EndpointState, end: CallEnd): void;
  breakerMoved(endpoint: EndpointState, asked: Asked, to: "opened" | "closed"): void;
  hedged(end: HedgeEnd): void;
}

export interface DispatchParts {
  readonly fleet: Fleet;
  readonly linkOf: (endpoint: EndpointState) => EngineLink;
  readonly rooms: WaitingRooms;
  readonly evacuation: Evacuation;
  readonly budget: RetryBudget;
  readonly quarantine: Quarantine;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: DispatchEvents;
}

const nowhere: readonly EndpointState[] = [];

/** It has its slot or its place, or is refused, before the promise is returned: who asks next sees it. */
export type Dispatch = (request: InferenceRequest, callerLeft: Leaving) => Promise<Dispatched>;

export function createDispatch(parts: DispatchParts): Dispatch {
  const { fleet, rooms, evacuation, budget, clock, random } = parts;
  const breakdowns = createBreakdowns(parts.quarantine, clock);

  /** One call, from the slot taken to the slot given back. */
  const attempt = (
    request: InferenceRequest,
    endpoint: EndpointState,
    because: TryReason,
    callerLeft: Leaving,
    move: Move,
  ): Contender => {
    const model = modelAt(endpoint, request);
    const link = parts.linkOf(endpoint);
    const asked: Asked = { path: request.path, model: model ?? "" };
    const holds = holdsIn(endpoint.spec.tier, request);
    const yields = request.pressureBelow !== undefined;
    const wire = engineCall(request, link, model);
    const since = clock.now();
    let beaten: Outcome["beaten"];
    request.taken?.(endpoint);
    endpoint.begin(asked.model, request.stream, fleet.nextPick(), since, holds);
    const answered = evacuation.enlist(endpoint, {
      ...asked,
      leaveIfBetter(now) {
        if (!move.mayLeave(endpoint, now)) return undefined;
        const { promise, resolve } = Promise.withResolvers<void>();
        // Both calls of a request may be left in one moment, and somebody waits for each.
        const { landed } = move;
        move.landed = () => {
          landed();
          resolve();
        };
        call.stop("silent");
        return promise;
      },
    });
    const leave = (): void => call.stop("cancelled");
    const call = startCall({
      wire,
      link,
      firstByteMs: request.stream ? request.firstByteMs : undefined,
      deadline: request.deadline,
      clock,
      heard: () => endpoint.heard(clock.now()),
      load(value) {
        if (link.peer === undefined) {
          const gauges = link.dialect.loadHeader?.read(value);
          if (gauges !== undefined && endpoint.setGauges(gauges, clock.now()))
            rooms.slotFreed(endpoint, endpoint.spec.slots - endpoint.inflight);
        } else {
          const load = readLoadHint(value);
          if (load !== undefined) endpoint.told(load, clock.now());
        }
      },
      settled() {
        answered();
        // A relayed answer is watched by whoever pumps it.
        callerLeft.removeEventListener("abort", leave);
      },
      over(end) {
        const { stream, oneToken } = request;
        const like = oneToken === true || request.share !== undefined ? undefined : request.sla;
        const outcome = { ...end, ...holds, model: asked.model, stream, like, oneToken, yields, beaten };
        const moved = endpoint.end(outcome, clock.now(), random);
        breakdowns.ended(request, endpoint, end);
        parts.events.attemptEnded(endpoint, end);
        if (moved !== undefined) parts.events.breakerMoved(endpoint, asked, moved);
        if (moved === "opened" || outcomeRow(end.kind).bars) rooms.empty(endpoint);
        else if (endpoint.peer !== undefined) rooms.slotFreed(endpoint);
        // Its slots may have become fewer meanwhile. Where more than this one is free, whom others kept from it may go.
        else rooms.slotFreed(endpoint, Math.min(2, endpoint.spec.slots - endpoint.inflight));
      },
    });
    callerLeft.addEventListener("abort", leave);
    if (callerLeft.aborted) leave();
    return {
      endpoint,
      model,
      because,
      since,
      result: call.result,
      beaten(as) {
        beaten = as;
        call.stop("cancelled");
      },
    };
  };

  const isSwapped = (
    model: string,
    endpoint: EndpointState,
    { deadline }: InferenceRequest,
    callerLeft: Leaving,
  ): Promise<boolean> | boolean =>
    // A reload may have taken it away meanwhile, and its link with it.
    fleet.named(endpoint.spec.name) === endpoint &&
    servesAnother(model, endpoint, parts.linkOf(endpoint), deadline - clock.now(), clock, callerLeft);

  return async (request, callerLeft) => {
    const journey: Journey = { tried: [], queuedMs: 0, engineMs: 0, because: "no-endpoint" };
    const { tried } = journey;
    /** Leaving a dead or silent endpoint is free, once a request. */
    let leftFree = false;
    /** The attempts whose successor has been paid for. */
    let paidFor = 0;
    budget.earn(clock.now());

    /** Where the name that we put in was out of date: a second time it is the engine's last word. */
    let renamed = nowhere;
    /** The endpoint whose free slot this request was woken for, and has not taken yet. */
    let wokenBy: EndpointState | undefined;
    let hasWaited = false;

    /** A hedge is under way beside the first call; whoever leaves one of them goes on with the other. */
    let isDoubled = false;

    const move: Move = {
      mayLeave({ spec }, at) {
        if (isDoubled) {
          // The other is all that it has from now on.
          isDoubled = false;
          return true;
        }
        if (tried.length + 1 >= dispatchRule.attemptsMost || (leftFree && !budget.covers(at))) return false;
        const left: Tried = { endpoint: spec.name, outcome: "silent" };
        return route(request, fleet, [...tried, left], at, random).do !== "shed";
      },
      landed: () => undefined,
    };
    const note = ({ endpoint, because, since }: Contender, { kind, why, retryAfterMs }: Unanswered): void => {
      const ms = clock.now() - since;
      tried.push({ endpoint: endpoint.spec.name, outcome: kind, because, ms, why, retryAfterMs });
    };
    const beginHedge = (first: Contender): Contender | undefined => {
      const now = clock.now();
      if (journey.hedge !== undefined || callerLeft.aborted) return undefined;
      if (tried.length + 2 > dispatchRule.attemptsMost || !breakdowns.mayDouble(request)) return undefined;
      const slow: Tried = { endpoint: first.endpoint.spec.name, outcome: "cancelled" };
      const decision = route(besideOf(request, first.endpoint), fleet, [...tried, slow], now, random);
      const endpoint = decision.do === "try" ? fleet.named(decision.endpoint.spec.name) : undefined;
      if (endpoint === undefined || isOverShare(endpoint, request, now)) return undefined;
      if (!budget.spendOnHedge(now)) return undefined;
      isDoubled = true;
      journey.hedge = "lost";
      return attempt(request, endpoint, "hedge", callerLeft, move);
    };
    const fellOut = (one: Contender, how: Unanswered): void => {
      isDoubled = false;
      note(one, how);
      // It has its place already: with the other.
      move.landed();
    };
    const hedged = async (first: Contender, afterMs: number): Promise<Finish> => {
      const begin = (): Contender | undefined => beginHedge(first);
      const finish = await race(first, { clock, afterMs, begin, fellOut });
      if (finish.hedge !== undefined) {
        journey.hedge = finish.hedge;
        parts.events.hedged(finish.hedge);
      }
      return finish;
    };
    const passSlotOn = (): void => {
      if (wokenBy !== undefined) rooms.slotFreed(wokenBy);
      wokenBy = undefined;
    };
    const stop = (): Dispatched => {
      journey.because = "quarantined";
      return { kind: "refusal", ...stopped, journey };
    };
    const refuse = (shed?: Shed): Dispatched => {
      const late = clock.now() >= request.deadline;
      return { kind: "refusal", ...refusalOf(tried, late, shed, random), journey };
    };
    const defer = (): Dispatched => {
      journey.because = "deferred";
      return { kind: "defer", journey };
    };
    /** It has failed, and may have cost engines their lives. */
    const failed = async (shed?: Shed): Promise<Dispatched> => {
      if (tried.length > 0) await breakdowns.spread(request, fleet.peers.length, callerLeft);
      return callerLeft.aborted ? { kind: "gone", journey } : refuse(shed);
    };
    /** More attempts are not allowed. */
    const spent = (now: Instant): Promise<Dispatched> | Dispatched =>
      endsInLane(request, now) && !breakdowns.isStopped(request) ? defer() : failed();

    try {
      if (breakdowns.isStopped(request)) return stop();
      for (;;) {
        const now = clock.now();
        if (callerLeft.aborted) return { kind: "gone", journey };
        const decision = route(request, fleet, tried, now, random);
        for (const tier of missedTiers(decision, request, fleet, tried, now)) fleet.missed(tier, now);
        if (decision.do === "defer") return defer();
        if (tried.length === 0 || decision.do === "try") journey.because = decision.because;
        if (decision.do === "shed") {
          noteMissed(request, fleet, now);
          return await failed(decision);
        }
        const chosen = fleet.named(decision.endpoint.spec.name);
        if (chosen === undefined)
          throw new Error(`routing chose ${decision.endpoint.spec.name}, which is not in the fleet`);

        if (tried.length > paidFor) {
          if (tried.length >= dispatchRule.attemptsMost) return await spent(now);
          if (breakdowns.isStopped(request)) return await failed();
          const free: boolean = !leftFree && outcomeRow(tried.at(-1)?.outcome ?? "ok").evacuation === true;
          if (!free && !budget.spend(now)) return await spent(now);
          leftFree ||= free;
          paidFor = tried.length;
        }

        if (decision.do === "wait") {
          // Woken for a slot that it may not take; where it is taken already, there is nothing to pass on.
          if (wokenBy !== undefined && wokenBy.inflight < wokenBy.spec.slots) passSlotOn();
          wokenBy = undefined;
          const { maxWaitMs } = decision;
          const holds = holdsIn(chosen.spec.tier, request);
          const suits = (neighbour: EndpointState): boolean => {
            const exclusion = whyNot(neighbour, request, tried, clock.now());
            return exclusion === undefined || exclusion === "joining" || exclusion === "suspect";
          };
          const waiting = rooms.wait(chosen, request.deadline, maxWaitMs, callerLeft, holds, suits);
          move.landed();
          const wake = await waiting;
          hasWaited = true;
          journey.queuedMs += clock.now() - now;
          if (wake === "left") return { kind: "gone", journey };
          if (wake === "displaced") {
            journey.because = "over-share";
            const usualMs = chosen.expectedWaitMs() ?? admissionRule.retryAfterMs;
            return refuse({
              do: "shed",
              because: journey.because,
              retryAfterMs: retryAfterMs(usualMs, random),
            });
          }
          wokenBy = wake === "woken" ? chosen : undefined;
          continue;
        }
        // Taken here or elsewhere: where it is elsewhere, the slot is for the next.
        if (wokenBy !== chosen) passSlotOn();
        wokenBy = undefined;

        const because = hasWaited ? afterWaiting(decision.because, chosen) : decision.because;
        journey.because = because;
        const first = attempt(request, chosen, because, callerLeft, move);
        move.landed();
        const { hedgeAfterMs } = decision;
        const finish = hedgeAfterMs === undefined ? undefined : await hedged(first, hedgeAfterMs);
        const by = finish?.by ?? first;
        const result = finish?.result ?? (await first.result);
        const { endpoint, model } = by;
        const isRenamed =
          isUnknownThere(result) &&
          request.model === undefined &&
          model !== undefined &&
          !renamed.includes(endpoint) &&
          (await isSwapped(model, endpoint, request, callerLeft));
        journey.engineMs += clock.now() - now;
        const isTurnedAway = !result.answered && result.kind === "busy" && endpoint.peer !== undefined;
        // Who yields to all is in nobody's want.
        if (isTurnedAway && request.pressureBelow === undefined)
          fleet.missed(endpoint.spec.tier, clock.now());
        if (isRenamed) {
          renamed = [...renamed, endpoint];
          continue;
        }
        if (result.answered) {
          journey.because = by.because;
          const { status, headers, body } = result;
          const attempts = tried.length + 1;
          return {
            kind: "answer",
            status,
            headers,
            body,
            answeredBy: endpoint.spec,
            model,
            attempts,
            answeredAt: clock.now(),
            journey,
            cache: "off",
          };
        }
        if (result.kind === "cancelled") return { kind: "gone", journey };
        note(by, result);
        if (result.kind === "deadline") return refuse();
      }
    } finally {
      // Whatever the end: nobody may go on waiting for this request to land, nor for the slot that it was woken for.
      move.landed();
      passSlotOn();
    }
  };
}

/** A hedge yields to all, and is somebody's nevertheless. */
function isOverShare(endpoint: EndpointState, request: RoutingRequest, now: Instant): boolean {
  const { flow, spilled = false } = holdsIn(endpoint.spec.tier, request);
  return flow !== undefined && endpoint.overShare(flow, spilled, now);
}

/** Whoever holds all of an endpoint must learn that others want some of it, be there no room to wait in. */
export function noteMissed(request: RoutingRequest, fleet: Fleet, now: Instant): void {
  for (const { tier } of request.ladder) {
    const { flow } = holdsIn(tier, request);
    if (flow === undefined) return;
    for (const endpoint of fleet.inTier(tier)) endpoint.missedBy(flow, now);
  }
}

/** What a request on its way to another endpoint shares with whoever sends it there. */
interface Move {
  /** Whether it leaves that endpoint: it has a place elsewhere, or may take one and pay for it. */
  mayLeave(endpoint: EndpointState, now: Instant): boolean;
  /** Called when the request has its next place, or none. */
  landed: () => void;
}
