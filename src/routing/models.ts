// Who serves a model, as far as anybody knows.

import type { FleetView } from "../fleet/fleet.ts";

/** `unsure`: nobody is known to serve it, but somebody has not said yet what they serve. */
export type ModelKnowledge = "served" | "unsure" | "absent";

export function modelKnowledge(fleet: FleetView, model: string): ModelKnowledge {
  let unsure = false;
  for (const { models } of fleet.endpoints) {
    if (models === undefined) unsure = true;
    else if (models.includes(model)) return "served";
  }
  return unsure ? "unsure" : "absent";
}
