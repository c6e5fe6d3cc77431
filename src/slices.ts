// What of a configuration each room is handed.

import type { Config } from "./config/config.ts";
import type { FleetMember } from "./fleet/fleet.ts";
import { createAuthenticate } from "./http/auth.ts";
import type { Callers } from "./http/callers.ts";
import type { DoorSettings } from "./http/door.ts";
import { balancers } from "./routing/balancers/balancers.ts";
import type { RoutingPolicy, Rung, SlaRule } from "./routing/sla.ts";

/** What the files say otherwise than before; what an operator has set at run time stays where they agree. */
export function changed<Settings extends object>(before: Settings, next: Settings): Partial<Settings> {
  const otherwise: Partial<Settings> = {};
  for (const name in next) if (next[name] !== before[name]) otherwise[name] = next[name];
  return otherwise;
}

export const endpointName = (config: Config, engine: string): string => `${config.host.name}/${engine}`;

export function membersOf(config: Config): FleetMember[] {
  return config.engines.map(({ name, tier, kind, url, apiKey, models, maxConcurrent, maxQueue }) => ({
    identity: JSON.stringify([url, kind, apiKey]),
    spec: {
      name: endpointName(config, name),
      tier,
      locality: "local",
      slots: maxConcurrent,
      queueLimit: maxQueue,
    },
    models,
  }));
}

export function settingsOf(config: Config, callers: Pick<Callers, "named">): DoorSettings {
  const rungOf = (tier: "gold" | "silver"): Rung => {
    const { balancer, hedge } = config.tiers[tier];
    return { tier, balance: balancers[balancer], hedges: hedge };
  };
  const bronze: Rung = { tier: "bronze", balance: balancers["least-pressure"] };
  const rungs: RoutingPolicy["rungs"] = { gold: rungOf("gold"), silver: rungOf("silver"), bronze };
  const ruleOf = ({ ladder, firstByteMs, totalMs }: Config["sla"]["realtime"]): SlaRule => ({
    ladder: ladder.map((tier) => rungs[tier]),
    firstByteMs,
    totalMs,
  });
  const { realtime, interactive, async } = config.sla;
  return {
    policy: {
      sla: { realtime: ruleOf(realtime), interactive: ruleOf(interactive), async: ruleOf(async) },
      aliases: config.aliases,
      rungs,
    },
    bodyLimitBytes: config.limits.bodyBytes,
    intentDeadlineMs: config.intents.deadlineMs,
    authenticate:
      config.auth.mode === "keys" ? createAuthenticate(config.auth.keys, callers.named) : undefined,
    intentEngineShare: config.intents.engineShare,
    corsOrigins: config.cors.origins,
    metricsOnPublic: config.metrics.public,
    authenticateAdmin:
      config.auth.adminToken === undefined
        ? undefined
        : createAuthenticate([{ name: "admin", key: config.auth.adminToken }]),
    // Behind a token a borrowed name (DNS rebinding) gains nothing; without one only the configured name is ours.
    isAdminHost: (name) =>
      config.auth.adminToken !== undefined || name === config.listen.admin.host.toLowerCase(),
  };
}
