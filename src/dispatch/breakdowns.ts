// Which attempts may have cost an engine its life, and whether a request may cost one more.

import type { Clock, Instant } from "../base/clock.ts";
import type { Leaving } from "../base/departure.ts";
import { pause } from "../base/pause.ts";
import type { EndpointState } from "../fleet/endpoint-state.ts";
import { outcomeRow } from "../fleet/outcome.ts";
import type { Quarantine } from "../fleet/quarantine.ts";
import { quarantineRule } from "../fleet/quarantine.ts";
import type { CallEnd } from "./call.ts";
import type { InferenceRequest } from "./inference-request.ts";

export interface Breakdowns {
  /** `since`: when the call began. */
  ended(request: InferenceRequest, endpoint: EndpointState, since: Instant, end: CallEnd): void;
  /** Too many engines have died of it, or seem to. */
  isStopped(request: InferenceRequest): boolean;
  /** Whether two engines may have it at once. */
  mayDouble(request: InferenceRequest): boolean;
  /** Before its caller hears that it has failed: until other doors know of it, if there are any, and there is time. */
  spread(request: InferenceRequest, doors: number, callerLeft: Leaving): Promise<void> | undefined;
}

/** The answer must be there by the deadline. */
const marginMs = 100;

export function createBreakdowns(quarantine: Quarantine, clock: Clock): Breakdowns {
  const hasTries = (request: InferenceRequest, tries: number): boolean =>
    quarantine.idle || isAnothers(request) || quarantine.triesLeft(hashOf(request), clock.now()) >= tries;
  const isStopped = (request: InferenceRequest): boolean => !hasTries(request, 1);
  const timeFor = ({ deadline }: InferenceRequest): number =>
    Math.min(quarantineRule.spreadMs, deadline - clock.now() - marginMs);

  return {
    ended(request, { spec: { name: endpoint }, peer }, since, { kind, resent }) {
      const { answered, broke, absent } = outcomeRow(kind);
      const now = clock.now();
      const counts = !isAnothers(request);
      if (counts && answered === true && !quarantine.idle) quarantine.answered(hashOf(request), now);
      if (counts && answered !== true && (broke === true || resent === true)) {
        // An engine that says 500 mostly lives on. Of a peer's that died no more can be told from its answer.
        const presumed = kind !== "server-error" || peer !== undefined;
        quarantine.broke(hashOf(request), { endpoint, since, presumed }, now);
      }
      if (absent === true) quarantine.gone(endpoint, now);
    },
    isStopped,
    mayDouble: (request) => hasTries(request, 2),
    spread(request, doors, callerLeft) {
      const ms = timeFor(request);
      return doors > 0 && ms > 0 && isStopped(request) ? pause(clock, ms, callerLeft) : undefined;
    },
  };
}

/** Whoever forwarded it counts, for all that it meets is told there. */
const isAnothers = ({ only }: InferenceRequest): boolean => only !== undefined;

/** The same at every router of the fleet, and good enough: to share another's hash gains nobody anything. */
function hashOf({ path, body, question }: InferenceRequest): string {
  const seed = BigInt(Bun.hash.crc32(path));
  const asked = question === undefined ? body : JSON.stringify(question);
  return Bun.hash.wyhash(asked, seed).toString(16).padStart(16, "0");
}
