// GET /v1/models: what can be asked for here, be it an engine's model, an alias, a tier or an SLA class.

import type { Tier } from "../fleet/endpoint.ts";
import type { Door } from "./door.ts";
import type { BadRequest } from "./errors.ts";
import { errorResponse } from "./errors.ts";

interface ModelCard {
  readonly id: string;
  readonly object: "model";
  readonly created: number;
  readonly owned_by: string;
  readonly tier: Tier;
}

/** Engines know no date for a model, and clients only want a number. */
const created = 0;

function cards(door: Door): ModelCard[] {
  const { fleet } = door;
  const found = new Map<string, ModelCard>();
  const add = (id: string, owner: string, tier: Tier): void => {
    if (!found.has(id)) found.set(id, { id, object: "model", created, owned_by: owner, tier });
  };
  for (const { spec, models } of fleet.endpoints)
    for (const model of models ?? []) add(model, spec.name, spec.tier);
  for (const [name, { tier }] of door.settings().policy.aliases) add(name, "tierline", tier);
  for (const { spec } of fleet.endpoints) add(spec.tier, "tierline", spec.tier);
  return [...found.values()];
}

export function modelNotFound(id: string, door: Door): BadRequest {
  const served = cards(door)
    .map((card) => card.id)
    .join(", ");
  const message = `The model "${id.slice(0, 200)}" is not served here. Served: ${served}.`;
  return { code: "model_not_found", message, param: "model" };
}

export function listModels(door: Door): Response {
  return Response.json({ object: "list", data: cards(door) });
}

export function getModel(id: string, door: Door): Response {
  const card = cards(door).find((each) => each.id === id);
  if (card !== undefined) return Response.json(card);
  const missing = modelNotFound(id, door);
  return errorResponse(missing.code, missing.message, missing);
}
