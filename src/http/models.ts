// GET /v1/models: what can be asked for here, be it an engine's model, an alias, a tier or an SLA class.

import type { Tier } from "../fleet/endpoint.ts";
import { admissionRule, retryAfterMs } from "../routing/admission.ts";
import { isJustGone } from "../routing/models.ts";
import type { Door } from "./door.ts";
import type { BadRequest } from "./errors.ts";
import { errorResponse } from "./errors.ts";

type ModelsDoor = Pick<Door, "fleet" | "cluster" | "clock" | "random" | "settings" | "desk">;

interface ModelCard {
  readonly id: string;
  readonly object: "model";
  readonly created: number;
  readonly owned_by: string;
  readonly tier: Tier;
}

/** Engines know no date for a model, and clients only want a number. */
const created = 0;

const errorRule = { modelCharsMost: 200, servedCharsMost: 1000 } as const;

/** This host's own engines come first, and of what several endpoints serve the first is named. Aliases are this host's. */
function cards(door: ModelsDoor): ModelCard[] {
  const { fleet, desk } = door;
  const found = new Map<string, ModelCard>();
  const add = (id: string, owner: string, tier: Tier): void => {
    if (!found.has(id)) found.set(id, { id, object: "model", created, owned_by: owner, tier });
  };
  for (const { spec, models } of fleet.endpoints)
    for (const model of models ?? []) add(model, spec.name, spec.tier);
  for (const model of desk.models ?? []) add(model, desk.runner, "bronze");
  for (const [name, { tier }] of door.settings().policy.aliases) add(name, "tierline", tier);
  for (const { spec } of fleet.endpoints) add(spec.tier, "tierline", spec.tier);
  if (desk.takes(undefined)) add("bronze", "tierline", "bronze");
  return [...found.values()];
}

/** What is told of a model that nobody serves. `id` is a caller's word, and a fleet serves more than one error can name. */
export function absentModel(id: string, door: ModelsDoor): BadRequest {
  const { fleet, cluster, clock, random } = door;
  const named = JSON.stringify(id.slice(0, errorRule.modelCharsMost));
  if (isJustGone(fleet, id, clock.now())) {
    return {
      code: "no_endpoint",
      message: `The host that served the model ${named} went away moments ago. It may be back shortly, or another take over: try again.`,
      param: "model",
      retryAfterMs: retryAfterMs(admissionRule.noEndpointRetryAfterMs, random),
    };
  }
  const served = listed(cards(door).map((card) => card.id));
  const nobody = cluster.forwarded === undefined ? "is not served here" : "is served by no host of the fleet";
  return {
    code: "model_not_found",
    message: `The model ${named} ${nobody}. Served: ${served}.`,
    param: "model",
  };
}

/** As many of them as an error has room for, and how many more there are. */
function listed(names: readonly string[]): string {
  if (names.length === 0) return "nothing";
  let chars = 0;
  const shown = names.filter((name) => {
    chars += name.length + 2;
    return chars <= errorRule.servedCharsMost;
  });
  const more = names.length - shown.length;
  return more === 0 ? shown.join(", ") : `${[...shown, `and ${more} more`].join(", ")} (see /v1/models)`;
}

export function listModels(door: ModelsDoor): Response {
  return Response.json({ object: "list", data: cards(door) });
}

export function getModel(id: string, door: ModelsDoor): Response {
  const card = cards(door).find((each) => each.id === id);
  if (card !== undefined) return Response.json(card);
  const missing = absentModel(id, door);
  return errorResponse(missing.code, missing.message, missing);
}
