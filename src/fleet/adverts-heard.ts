// What the other routers have said of themselves, as gossip tells it, read once for each version; and the facts that follow
// for the table of peers.

import type { Instant } from "../base/clock.ts";
import type { Advert } from "./advert.ts";
import { readAdvert } from "./advert.ts";
import type { PeerFacts } from "./peer-table.ts";

/** A member as gossip holds it; its meta is the advert, unread. */
export interface Speaker {
  readonly claim: {
    readonly name: string;
    readonly boot: string;
    /** Version of its meta. */
    readonly seq: number;
    readonly meta?: unknown;
  };
  readonly state: PeerFacts["state"];
  readonly metaAt: Instant;
}

export interface AdvertsHeard {
  /** Its newest; undefined where it has said nothing that we understand. */
  advertOf(speaker: Speaker): Advert | undefined;
  factsOf(speaker: Speaker): PeerFacts;
  /** Gossip does not know it any more, and keeps no more members than it may. */
  forget(name: string): void;
}

/** `fresh` is told of each version once. */
export function createAdvertsHeard(
  fresh: (name: string, boot: string, advert: Advert) => void = () => undefined,
): AdvertsHeard {
  const heard = new Map<
    string,
    { readonly boot: string; readonly seq: number; readonly advert: Advert | undefined }
  >();

  const advertOf = ({ claim }: Speaker): Advert | undefined => {
    const { name, boot, seq, meta } = claim;
    const known = heard.get(name);
    if (known?.boot === boot && known.seq === seq) return known.advert;
    // A claim may come without what it is about, where the version is one that we have.
    if (meta === undefined) return known?.boot === boot ? known.advert : undefined;
    const advert = readAdvert(meta);
    heard.set(name, { boot, seq, advert });
    if (advert !== undefined) fresh(name, boot, advert);
    return advert;
  };

  return {
    advertOf,
    factsOf(speaker) {
      const { claim, state, metaAt } = speaker;
      const { name, boot } = claim;
      return { name, boot, state, advert: advertOf(speaker), advertAt: metaAt };
    },
    forget: (name) => void heard.delete(name),
  };
}
