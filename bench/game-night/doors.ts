// The hosts as a game client knows them: it has one that it goes to, and goes to the next while that one cannot be reached.

import type { Tier } from "./cast.ts";

export interface Door {
  readonly name: string;
  /** Where each tier is asked for: one address with tierline, a port each with a proxy. */
  readonly urls: Readonly<Record<Tier, string>>;
}

export interface Doors {
  /** The first from `home` on that is not avoided, and where there is one, not among `left`; `home` where all are. */
  from(home: number, left?: readonly Door[]): Door;
  at(index: number): Door;
  /** It could not be reached, or takes nobody new. */
  avoid(door: Door): void;
}

/** After a failure others are asked for so long. */
const avoidedMs = 2_000;

export function createDoors(all: readonly Door[]): Doors {
  const avoidedUntilMs = new Map<Door, number>();
  const at = (index: number): Door => {
    const door = all[index % all.length];
    if (door === undefined) throw new Error("there are no hosts to go to");
    return door;
  };
  const avoided = (door: Door): boolean => (avoidedUntilMs.get(door) ?? 0) > performance.now();
  return {
    from(home, left = []) {
      const open = all.map((_, step) => at(home + step)).filter((door) => !avoided(door));
      return open.find((door) => !left.includes(door)) ?? open[0] ?? at(home);
    },
    at,
    avoid(door) {
      avoidedUntilMs.set(door, performance.now() + avoidedMs);
    },
  };
}

const lookEveryMs = 1_000;

/** As a load balancer does: who does not say that it is ready gets nothing new. */
export function watchDoors(all: readonly Door[], doors: Doors): void {
  const look = async (door: Door): Promise<void> => {
    const isReady = await fetch(`${door.urls.gold}/readyz`, {
      signal: AbortSignal.timeout(lookEveryMs),
      keepalive: false,
    })
      .then((response) => response.status === 200)
      .catch(() => false);
    if (!isReady) doors.avoid(door);
  };
  for (const door of all) setInterval(() => void look(door), lookEveryMs);
}
