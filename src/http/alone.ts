// The cluster of a router that is in no fleet: itself.

import type { Instant } from "../base/clock.ts";
import type { DoorCluster } from "./door.ts";

/** `since`: when it started, where anybody will ask. */
export const alone = (name: string, since?: Instant): DoorCluster => ({
  members: () => [
    {
      name,
      isSelf: true,
      state: "alive",
      incarnation: 0,
      advert: undefined,
      ...(since !== undefined && { stateSince: since }),
    },
  ],
  counts: () => ({ alive: 1, suspect: 0, dead: 0, left: 0 }),
  forwarded: undefined,
  announce: () => 0,
});
