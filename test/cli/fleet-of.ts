// What a router says of its fleet, as plain bodies: what a test does not name is well, idle and measured nowhere.

import type { Answer } from "./fake-router.ts";

type Fields = Readonly<Record<string, unknown>>;

export const endpointOf = (name: string, more: Fields = {}) => ({
  name,
  tier: "gold",
  locality: "peer",
  slots: 64,
  inflight: 0,
  waiting: 0,
  pressure: 0,
  state: "ok",
  there: "ok",
  breaker: "closed",
  calls: 0,
  first_byte_p50_ms: null,
  first_byte_p99_ms: null,
  whole_p50_ms: null,
  whole_p99_ms: null,
  said_p50_ms: null,
  ...more,
});

export const memberOf = (name: string, more: Fields = {}) => ({
  name,
  state: "alive",
  draining: false,
  public: "http://10.0.0.1:8010",
  state_age_ms: 5000,
  accused: null,
  intents: { entries: 0, epoch: 1, same_epoch: true },
  tiers: ["gold"],
  endpoints: [endpointOf(`${name}/vllm`)],
  ...more,
});

/** The first is the one that answers. */
export const fleetOf = (members: readonly ReturnType<typeof memberOf>[], more: Fields = {}) => ({
  self: members[0]?.name,
  phase: "ready",
  panic: false,
  members,
  ...more,
});

const cache = { enabled: true, entries: 5, hits: 0, misses: 0, joins: 0, hit_rate: 0 };
export const caches = {
  intents: { ...cache, hits: 970, misses: 20, joins: 10, hit_rate: 0.97 },
  results: { ...cache, enabled: false },
};

export const routerOf =
  (fleet: unknown) =>
  (path: string): Answer => ({ body: path === "/api/fleet" ? fleet : caches });
