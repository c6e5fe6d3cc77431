// The desk of a host that does no jobs: it has no lane, or its job file cannot be opened. It takes nothing and says why,
// and it knows whom to ask about the jobs of others.

import type { FoundJob, JobDesk, ListedJobs } from "./desk.ts";
import { takesOf } from "./desk.ts";
import type { DeskRefusal } from "./desk-refusal.ts";
import { notFound, storeRefusal } from "./desk-refusal.ts";
import { readJobId } from "./job-id.ts";
import type { LaneDeskParts } from "./lane-desk.ts";
import { seekOf } from "./seek.ts";
import type { Trouble } from "./trouble.ts";

/** `member`: this host. */
export const createDeskWithoutLane = (member: string): JobDesk => ({
  ...answers(member, {
    order: () => noLane,
    own: () => notFound,
    list: () => ({ kind: "listed", jobs: [], hasMore: false }),
  }),
  runner: "local",
  durability: undefined,
  models: undefined,
  requestBytesMost: 0,
  takes: () => false,
});

const noLane: DeskRefusal = {
  kind: "refused",
  code: "no_endpoint",
  message:
    "This host takes no jobs. Hand it to one that does, or write [tier.bronze] into this one's configuration.",
};

/** In the place of a desk whose store could not be opened; nothing else here is worse for it. */
export function createClosedDesk(
  trouble: Trouble,
  parts: Pick<
    LaneDeskParts,
    "member" | "runner" | "models" | "requestBytesMost" | "keeping" | "clock" | "random"
  >,
): JobDesk {
  const { member, runner, models, keeping, clock, random } = parts;
  const refuse = (): DeskRefusal => storeRefusal(trouble.message, random);
  return {
    ...answers(member, { order: refuse, own: refuse, list: refuse }),
    runner: runner.name,
    durability: keeping === undefined ? "host" : "fleet",
    models,
    requestBytesMost: parts.requestBytesMost,
    takes: takesOf(models),
    ...seekOf(keeping, clock),
  };
}

interface Told {
  order(): DeskRefusal;
  /** Of a job that this host has named, or nobody. */
  own(): DeskRefusal;
  list(): ListedJobs;
}

function answers(member: string, { order, own, list }: Told) {
  const whose = (id: string): FoundJob => {
    const owner = readJobId(id)?.member;
    return owner === undefined || owner === member ? own() : { kind: "elsewhere", id, member: owner };
  };
  return {
    typicalMs: () => undefined,
    order: () => Promise.resolve(order()),
    get: whose,
    wait: (id: string) => Promise.resolve(whose(id)),
    list,
    cancel: (id: string) => Promise.resolve(whose(id)),
  };
}
