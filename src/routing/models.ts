// Who serves a model, as far as anybody knows.

import type { FleetView } from "../fleet/fleet.ts";

/** True where everybody has said what they serve, and this is not among it. */
export const isAbsent = (fleet: FleetView, model: string): boolean =>
  fleet.endpoints.every(({ models }) => models !== undefined && !models.includes(model));
