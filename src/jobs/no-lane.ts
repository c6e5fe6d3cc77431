// The desk of a host that has no lane, in a fleet where others may have one: it takes nothing, and knows whom to ask about
// a job.

import { createTtlLru } from "../base/ttl-lru.ts";
import type { Elsewhere, JobDesk } from "./desk.ts";
import type { DeskRefusal } from "./desk-refusal.ts";
import { notFound } from "./desk-refusal.ts";
import { readJobId } from "./job-id.ts";

/** `member`: this host, which has no jobs. */
export function createDeskWithoutLane(member: string): JobDesk {
  const whose = (id: string): Elsewhere | DeskRefusal => {
    const owner = readJobId(id)?.member;
    return owner === undefined || owner === member ? notFound : { kind: "elsewhere", id, member: owner };
  };
  return {
    runner: "local",
    durability: "host",
    models: undefined,
    takes: () => false,
    typicalMs: () => undefined,
    order: () => Promise.resolve(noLane),
    get: whose,
    wait: (id) => Promise.resolve(whose(id)),
    list: () => ({ kind: "listed", jobs: [], hasMore: false }),
    cancel: (id) => Promise.resolve(whose(id)),
    kept: createTtlLru<string>({ enabled: false, maxEntries: 0, maxBytes: 0, ttlMs: 0 }, () => 0),
  };
}

const noLane: DeskRefusal = {
  kind: "refused",
  code: "no_endpoint",
  message:
    "This host takes no jobs. Hand it to one that does, or write [tier.bronze] into this one's configuration.",
};
