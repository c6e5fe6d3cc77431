// The loop around routing: ask, try, report the outcome, ask again with one more attempt in `tried`.

import type { Instant } from "../base/clock.ts";
import type { Leaving } from "../base/departure.ts";
import type { EndpointState } from "../fleet/endpoint-state.ts";
import type { Holds } from "../fleet/flows.ts";
import { outcomeRow } from "../fleet/outcome.ts";
import type { Quarantine } from "../fleet/quarantine.ts";
import { admissionRule, holdsIn, shed } from "../routing/admission.ts";
import { mayCallAway } from "../routing/call-away.ts";
import type { Shed } from "../routing/decision.ts";
import { afterWaiting } from "../routing/decision.ts";
import { besideOf } from "../routing/hedging.ts";
import { missedTiers } from "../routing/missed.ts";
import type { Tried } from "../routing/request.ts";
import { endsInLane, route } from "../routing/route.ts";
import type { AttemptEvents, AttemptParts, Move } from "./attempt.ts";
import { createBeginAttempt } from "./attempt.ts";
import { createBreakdowns } from "./breakdowns.ts";
import type { Dispatched, Journey } from "./dispatched.ts";
import type { Contender, Finish, HedgeEnd, Unanswered } from "./hedge.ts";
import { race } from "./hedge.ts";
import { isUnknownThere, servesAnother } from "./hot-swap.ts";
import type { InferenceRequest } from "./inference-request.ts";
import { noteMissed } from "./note-missed.ts";
import { refusalOf, stopped } from "./refusal.ts";
import type { RetryBudget } from "./retry-budget.ts";

export const dispatchRule = {
  attemptsMost: 3,
  /** Who was called to a free slot and not let have it is not called there again for so long. */
  inVainMs: 100,
} as const;

export interface DispatchEvents extends AttemptEvents {
  hedged(end: HedgeEnd): void;
}

export interface DispatchParts extends Omit<AttemptParts, "breakdowns"> {
  readonly budget: RetryBudget;
  readonly quarantine: Quarantine;
  readonly events: DispatchEvents;
}

const nowhere: readonly EndpointState[] = [];

/** It has its slot or its place, or is refused, before the promise is returned: who asks next sees it. */
export type Dispatch = (request: InferenceRequest, callerLeft: Leaving) => Promise<Dispatched>;

export function createDispatch(parts: DispatchParts): Dispatch {
  const { fleet, rooms, budget, clock, random } = parts;
  const breakdowns = createBreakdowns(parts.quarantine, clock);
  const attempt = createBeginAttempt({ ...parts, breakdowns });

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
      if (endpoint === undefined || !budget.spendOnHedge(now)) return undefined;
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
          const inVain = wokenBy !== undefined && wokenBy.inflight < wokenBy.spec.slots ? wokenBy : undefined;
          if (inVain !== undefined) passSlotOn();
          wokenBy = undefined;
          const { maxWaitMs } = decision;
          const holds = holdsIn(chosen.spec.tier, request);
          const terms = (free: EndpointState): Holds | undefined => {
            const at = clock.now();
            // Two who are called in vain and pass the slot on to each other would stop everything.
            if (free === inVain && at - now < dispatchRule.inVainMs) return undefined;
            if (free === chosen) return holds;
            return mayCallAway(decision, free, request, fleet, tried, at)
              ? holdsIn(free.spec.tier, request)
              : undefined;
          };
          const waiting = rooms.wait(chosen, request.deadline, maxWaitMs, callerLeft, holds, terms);
          move.landed();
          const wake = await waiting;
          hasWaited = true;
          journey.queuedMs += clock.now() - now;
          if (wake === "left") return { kind: "gone", journey };
          if (wake === "displaced") {
            journey.because = "over-share";
            return refuse(shed("over-share", chosen.expectedWaitMs() ?? admissionRule.retryAfterMs, random));
          }
          wokenBy = typeof wake === "string" ? undefined : wake;
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
