// What the other members say, as gossip tells it: who they are and what they serve goes into `fleet`, what they ask to be
// cleared to whoever clears.

import type { Clock } from "./base/clock.ts";
import type { Member, MembershipEvent } from "./cluster/member.ts";
import { createAdvertsHeard } from "./fleet/adverts-heard.ts";
import type { Clearing } from "./fleet/clearing.ts";
import type { Clearings } from "./fleet/clearings.ts";
import type { Fleet } from "./fleet/fleet.ts";
import type { Quarantine } from "./fleet/quarantine.ts";
import type { MemberFacts } from "./http/door.ts";

export interface MembersHeardParts {
  /** This router's; what members say under it is no news. */
  readonly name: string;
  readonly clock: Clock;
  readonly fleet: Fleet;
  readonly clearings: Clearings;
  readonly quarantine: Quarantine;
  /** All that gossip knows. */
  readonly members: () => readonly Member[];
  readonly events: {
    /** Endpoints behind peers came, went or moved. `dead`: their host has died. */
    endpointsChanged(dead: boolean): void;
    /** Another router's operator has cleared its caches. */
    cleared(from: string, clearing: Clearing): void;
  };
}

export interface MembersHeard {
  hear(event: MembershipEvent): void;
  /** For whoever asks about the fleet. */
  factsOf(member: Member): MemberFacts;
}

export function createMembersHeard(parts: MembersHeardParts): MembersHeard {
  const { name, clock, fleet, clearings, quarantine, members, events } = parts;
  const adverts = createAdvertsHeard((from, boot, advert) => {
    if (from === name) return;
    for (const clearing of clearings.hear(from, boot, advert.clearings)) events.cleared(from, clearing);
    quarantine.hear(from, advert.deaths, clock.now());
    for (const engine of advert.engines)
      if (engine.state === "unhealthy") quarantine.gone(`${from}/${engine.name}`, clock.now());
  });

  const tellFleet = (member: Pick<Member, "claim" | "state" | "metaAt">): void => {
    if (member.claim.name === name) return;
    const facts = adverts.factsOf(member);
    if (facts.state === "dead") quarantine.gone(member.claim.name, clock.now());
    if (fleet.setPeer(facts, clock.now())) events.endpointsChanged(facts.state === "dead");
  };

  return {
    hear(event) {
      switch (event.kind) {
        case "accused":
          return;
        case "forgotten":
          adverts.forget(event.member.claim.name);
          clearings.forget(event.member.claim.name);
          return;
        case "conflict":
          // Who has given way knows nobody any more: what it remembers of them would only grow old.
          if (event.yielded) for (const member of members()) tellFleet({ ...member, state: "left" });
          return;
        default:
          tellFleet(event.member);
      }
    },
    factsOf(member) {
      const { claim, state, stateSince, metaAt } = member;
      const [by] = claim.accusers ?? [];
      return {
        name: claim.name,
        isSelf: claim.name === name,
        state,
        incarnation: claim.incarnation,
        advert: adverts.advertOf(member),
        newsAt: metaAt,
        stateSince,
        accused: by === undefined ? undefined : { by, why: claim.why ?? "" },
      };
    },
  };
}
