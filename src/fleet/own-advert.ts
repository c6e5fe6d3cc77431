// What this host says of itself, and when it is worth saying: at its pace, and at once where something changes that does
// not change from moment to moment.

import type { Instant } from "../base/clock.ts";
import type { HostFacts, WireAdvert } from "./advert.ts";
import { advertEveryMs, advertOf } from "./advert.ts";
import type { Fleet } from "./fleet.ts";

export interface OwnAdvert {
  read(now: Instant): WireAdvert;
  /** Undefined: everybody has been told enough. What is answered counts as told. */
  due(now: Instant, hosts: number): WireAdvert | undefined;
}

export function createOwnAdvert(
  fleet: Pick<Fleet, "local" | "short">,
  facts: (now: Instant) => Omit<HostFacts, "short">,
): OwnAdvert {
  let toldAt: Instant = Number.NEGATIVE_INFINITY;
  let toldKey = "";

  const read = (now: Instant): WireAdvert =>
    advertOf(fleet.local, { ...facts(now), short: fleet.short(now) }, now);

  return {
    read,
    due(now, hosts) {
      const advert = read(now);
      const key = keyOf(advert);
      if (key === toldKey && now - toldAt < advertEveryMs(hosts)) return undefined;
      toldAt = now;
      toldKey = key;
      return advert;
    },
  };
}

const keyOf = ({ draining, clearings, deaths, engines }: WireAdvert): string =>
  JSON.stringify([
    draining,
    clearings,
    deaths,
    engines.map(([engine, tier, models, slots, , , , , state]) => [engine, tier, models, slots, state]),
  ]);
