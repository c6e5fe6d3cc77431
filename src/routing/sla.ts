// SLA classes: what a caller asks for, and how far and how long a request of that class may go.

import type { Tier } from "../fleet/endpoint.ts";
import type { Balancer } from "./balancers/balancer.ts";

export const slaClasses = ["realtime", "interactive", "async"] as const;
export type SlaClass = (typeof slaClasses)[number];

/** The class that a tier's name stands for, where a caller gives it as `model`. */
export const slaOfTier: Readonly<Record<Tier, SlaClass>> = {
  gold: "realtime",
  silver: "interactive",
  bronze: "async",
};

/** One step of a ladder: a tier, and how to choose among its endpoints. */
export interface Rung {
  readonly tier: Tier;
  readonly balance: Balancer;
  /** Whether a call there that is slow with its first byte may have a second one beside it. */
  readonly hedges?: boolean | undefined;
}

export interface SlaRule {
  readonly ladder: readonly Rung[];
  /** Bounds each streamed attempt until its first byte. */
  readonly firstByteMs: number;
  /** Bounds the whole answer. */
  readonly totalMs: number;
}

export interface AliasRule {
  readonly tier: Tier;
  readonly model?: string | undefined;
  readonly sla?: SlaClass | undefined;
}

/** Everything configuration says about routing. */
export interface RoutingPolicy {
  readonly sla: Readonly<Record<SlaClass, SlaRule>>;
  readonly aliases: ReadonlyMap<string, AliasRule>;
  readonly rungs: Readonly<Record<Tier, Rung>>;
}

/** What a `model` name and an SLA header together ask for. */
export interface Asked {
  readonly sla: SlaClass;
  readonly ladder: readonly Rung[];
  /** The one model that will do; undefined: whatever the rung serves. */
  readonly model: string | undefined;
}

const isSlaClass = (name: string): name is SlaClass => (slaClasses as readonly string[]).includes(name);
const isTier = (name: string): name is Tier => Object.hasOwn(slaOfTier, name);

/**
 * Header, then SLA name, then tier or alias name, then `interactive`. With a header *and* a tier or alias name the
 * name's tier is the first rung, and the header's class gives the limits and the rest of the ladder.
 */
export function resolveAsked(
  policy: RoutingPolicy,
  header: SlaClass | undefined,
  name: string | undefined,
): Asked {
  if (name === undefined || isSlaClass(name)) {
    const sla = header ?? (name !== undefined && isSlaClass(name) ? name : "interactive");
    return { sla, ladder: policy.sla[sla].ladder, model: undefined };
  }
  const alias: AliasRule | undefined =
    policy.aliases.get(name) ?? (isTier(name) ? { tier: name } : undefined);
  if (alias === undefined) {
    const sla = header ?? "interactive";
    return { sla, ladder: policy.sla[sla].ladder, model: name };
  }
  const sla = header ?? alias.sla ?? slaOfTier[alias.tier];
  const rest = policy.sla[sla].ladder.filter((rung) => rung.tier !== alias.tier);
  return { sla, ladder: [policy.rungs[alias.tier], ...rest], model: alias.model };
}
