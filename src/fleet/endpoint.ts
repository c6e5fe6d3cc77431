// What an endpoint is: the facts that configuration gives, not how it fares.

/** A pool of engines with one model and one price, dearest first. */
export const tiers = ["gold", "silver", "bronze"] as const;
export type Tier = (typeof tiers)[number];

/** Where an endpoint is: an engine on this host, or one behind another router of the fleet. */
export const localities = ["local", "peer"] as const;
export type Locality = (typeof localities)[number];

export interface EndpointSpec {
  /** `<host>/<engine>`: unique in the fleet, and the label of its metrics. */
  readonly name: string;
  readonly tier: Tier;
  readonly locality: Locality;
  /**
   * Requests in flight at once; the pool that utilisation is measured on. As configured, or fewer where the engine says
   * that it queues what it is given.
   */
  readonly slots: number;
  /** Places in its waiting room; a peer's is its own affair, so that it has none here. */
  readonly queueLimit: number;
}
