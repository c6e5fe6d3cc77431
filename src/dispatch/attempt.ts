// One attempt of a request: a call to one endpoint, from the slot taken to the slot given back, and all who are told of it.

import type { Clock, Instant } from "../base/clock.ts";
import type { Leaving } from "../base/departure.ts";
import type { Random } from "../base/random.ts";
import type { Asked } from "../engines/look.ts";
import type { EndpointState } from "../fleet/endpoint-state.ts";
import type { Fleet } from "../fleet/fleet.ts";
import { readLoadHint } from "../fleet/load.ts";
import type { Outcome } from "../fleet/outcome.ts";
import { outcomeRow } from "../fleet/outcome.ts";
import { holdsIn } from "../routing/admission.ts";
import { modelAt } from "../routing/candidates.ts";
import type { TryReason } from "../routing/decision.ts";
import type { Breakdowns } from "./breakdowns.ts";
import type { CallEnd } from "./call.ts";
import { startCall } from "./call.ts";
import { engineCall } from "./engine-call.ts";
import type { EngineLink } from "./engine-link.ts";
import type { Evacuation } from "./evacuation.ts";
import type { Contender } from "./hedge.ts";
import type { InferenceRequest } from "./inference-request.ts";
import type { WaitingRooms } from "./waiting-room.ts";

/** What a request on its way to another endpoint shares with whoever sends it there. */
export interface Move {
  /** Whether it leaves that endpoint: it has a place elsewhere, or may take one and pay for it. */
  mayLeave(endpoint: EndpointState, now: Instant): boolean;
  /** Called when the request has its next place, or none. */
  landed: () => void;
}

export interface AttemptEvents {
  /** A call is over. */
  attemptEnded(endpoint: EndpointState, end: CallEnd): void;
  breakerMoved(endpoint: EndpointState, asked: Asked, to: "opened" | "closed"): void;
}

export interface AttemptParts {
  readonly fleet: Fleet;
  readonly linkOf: (endpoint: EndpointState) => EngineLink;
  readonly rooms: WaitingRooms;
  readonly evacuation: Evacuation;
  readonly breakdowns: Breakdowns;
  readonly clock: Clock;
  readonly random: Random;
  readonly events: AttemptEvents;
}

export type BeginAttempt = (
  request: InferenceRequest,
  endpoint: EndpointState,
  because: TryReason,
  callerLeft: Leaving,
  move: Move,
) => Contender;

export function createBeginAttempt(parts: AttemptParts): BeginAttempt {
  const { fleet, rooms, evacuation, breakdowns, clock, random } = parts;

  return (request, endpoint, because, callerLeft, move) => {
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
    rooms.began(endpoint, since);
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
        const now = clock.now();
        const moved = endpoint.end(outcome, now, random);
        breakdowns.ended(request, endpoint, since, end);
        parts.events.attemptEnded(endpoint, end);
        if (moved !== undefined) parts.events.breakerMoved(endpoint, asked, moved);
        if (moved === "opened" || outcomeRow(end.kind).bars) rooms.empty(endpoint);
        else if (moved === "closed") rooms.takesMore(endpoint, now);
        else if (endpoint.peer !== undefined) rooms.slotFreed(endpoint);
        // Its slots may have become fewer meanwhile. Where more than this one is free, whom others kept from it may go.
        else rooms.slotFreed(endpoint, Math.min(2, endpoint.spec.slots - endpoint.inflight));
        rooms.ended(endpoint, now);
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
}
