// Whether a kept answer is one that its tier would give now. A tier's models change by a reload, by a swap behind the
// same address, or with the hosts; an answer of a model that has gone is not the tier's any more.

import type { FleetView } from "../fleet/fleet.ts";
import type { InferenceRequest } from "./inference-request.ts";
import type { KeptAnswer } from "./kept-answer.ts";

/**
 * By the model that each endpoint of the tier serves to whoever names none. Where none of them has said yet what that
 * is, as after a restart, nothing speaks against the answer. Who names a model has it in the key.
 */
export function stillServed({ model: named }: InferenceRequest, kept: KeptAnswer, fleet: FleetView): boolean {
  if (named !== undefined) return true;
  let isKnown = false;
  for (const { models } of fleet.inTier(kept.answeredBy.tier)) {
    if (models === undefined) continue;
    if (models[0] === kept.model) return true;
    isKnown = true;
  }
  return !isKnown;
}
