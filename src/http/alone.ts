// The cluster of a router that is in no fleet: itself.

import type { DoorCluster } from "./door.ts";

export const alone = (name: string): DoorCluster => ({
  members: () => [{ name, isSelf: true, state: "alive", incarnation: 0, advert: undefined }],
  counts: () => ({ alive: 1, suspect: 0, dead: 0, left: 0 }),
  forwarded: undefined,
  announce: () => 0,
});
