// Who serves a model, as far as anybody knows.

import type { Instant } from "../base/clock.ts";
import type { Fleet, FleetView } from "../fleet/fleet.ts";

/** True where everybody has said what they serve, and this is not among it. */
export const isAbsent = (fleet: FleetView, model: string): boolean =>
  fleet.endpoints.every(({ models }) => models !== undefined && !models.includes(model));

/** A host that served it went away within so long; it may be back, or another may take over. */
const justGoneMs = 60_000;

/** Whether an absent model is only just gone: to come back is better advice than to ask for another. */
export function isJustGone(fleet: Fleet, model: string, now: Instant): boolean {
  const until = fleet.servedUntil(model);
  return until !== undefined && now - until < justGoneMs;
}
