// Introduces the rooms to each other: from a configuration to a router that can answer, without listeners.

import { isDeepStrictEqual } from "node:util";
import type { CacheName, CacheSettings } from "./base/cache-control.ts";
import type { Clock } from "./base/clock.ts";
import type { Random } from "./base/random.ts";
import type { Config } from "./config/config.ts";
import type { LoadedConfig } from "./config/load.ts";
import { toToml } from "./config/print.ts";
import { createDispatch } from "./dispatch/dispatch.ts";
import { createEvacuation } from "./dispatch/evacuation.ts";
import { createIntents } from "./dispatch/intents.ts";
import { createResultCache } from "./dispatch/result-cache.ts";
import { createRetryBudget } from "./dispatch/retry-budget.ts";
import { watchSilence } from "./dispatch/silence-watch.ts";
import { createWaitingRooms } from "./dispatch/waiting-room.ts";
import type { LinkedEngine, LinkParts } from "./engine-links.ts";
import { linkEngine } from "./engine-links.ts";
import { tiers } from "./fleet/endpoint.ts";
import type { EndpointState } from "./fleet/endpoint-state.ts";
import type { FleetMember } from "./fleet/fleet.ts";
import { createFleet } from "./fleet/fleet.ts";
import { alone } from "./http/alone.ts";
import { createAuthenticate } from "./http/auth.ts";
import type { Door, DoorSettings } from "./http/door.ts";
import { createIntentAccount } from "./http/intent-account.ts";
import { createLifecycle } from "./http/lifecycle.ts";
import { createRequestAccount } from "./http/request-account.ts";
import { createArchetypes } from "./intents/archetype.ts";
import { createIntentTable } from "./intents/intent-table.ts";
import { balancers } from "./routing/balancers/balancers.ts";
import type { Rung, SlaRule } from "./routing/sla.ts";
import { savedIntents, savedResults } from "./saved-caches.ts";
import type { SavedCache } from "./snapshots.ts";
import { registerCacheGauges } from "./telemetry/cache-gauges.ts";
import { registerFleetGauges } from "./telemetry/fleet-gauges.ts";
import { registerIntentGauges } from "./telemetry/intent-gauges.ts";
import type { Log } from "./telemetry/log.ts";
import { createMetrics } from "./telemetry/metrics.ts";
import { registerProcessGauges } from "./telemetry/process-gauges.ts";
import { createRegistry } from "./telemetry/registry.ts";

export interface RouterParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly onCacheCleared: (cache: CacheName) => void;
  readonly build: { readonly version: string; readonly revision: string; readonly bun: string };
}

export interface Router {
  readonly door: Door;
  /** What outlives the process. */
  readonly savedCaches: readonly SavedCache[];
  /** Takes over what a reload may change. */
  reconfigure(loaded: LoadedConfig): void;
  /** Resolves when every engine has said what it serves, or `limitMs` have passed. */
  acquainted(limitMs: number): Promise<void>;
  stop(): void;
}

export function assemble(
  first: LoadedConfig,
  { clock, random, log, build, onCacheCleared }: RouterParts,
): Router {
  let loaded = first;
  let settings = settingsOf(loaded.config);
  const fleet = createFleet(membersOf(loaded.config));
  const rooms = createWaitingRooms(clock);
  const evacuation = createEvacuation(rooms, clock);
  const registry = createRegistry();
  const metrics = createMetrics(registry);
  registry.gauge("tierline_build_info", "What is running.", ["version", "revision", "bun"], (set) =>
    set(1, build.version, build.revision, build.bun),
  );
  registerFleetGauges(registry, fleet, clock.now);
  const stopProcessGauges = registerProcessGauges(registry, clock);
  registry.gauge("tierline_members", "Members of the fleet.", ["state"], (set) => set(1, "alive"));
  registry.gauge(
    "tierline_tier_target_p95_seconds",
    "The latency that the operator promises for the tier.",
    ["tier"],
    (set) => {
      for (const [tier, { targetP95Ms }] of Object.entries(loaded.config.tiers))
        set(targetP95Ms / 1000, tier);
    },
  );

  const engines = new Map<EndpointState, LinkedEngine>();
  const linkParts: LinkParts = {
    clock,
    random,
    log,
    intentOptions: () =>
      Math.max(0, ...loaded.config.intents.archetypes.map(({ actions }) => actions.length)),
    onBack: (endpoint) => rooms.slotFreed(endpoint, endpoint.spec.slots - endpoint.inflight),
    onAway: (endpoint) => rooms.empty(endpoint),
  };

  const linkAll = (): void => {
    const wanted = new Set<EndpointState>();
    for (const config of loaded.config.engines) {
      const endpoint = fleet.named(endpointName(loaded.config, config.name));
      if (endpoint === undefined) continue;
      wanted.add(endpoint);
      const linked = engines.get(endpoint);
      if (linked === undefined) engines.set(endpoint, linkEngine(config, endpoint, linkParts));
      else linked.verifyConstraint();
    }
    for (const [endpoint, engine] of engines) {
      if (wanted.has(endpoint)) continue;
      engine.stop();
      engines.delete(endpoint);
      // Whoever waits there has no other watch over it any more.
      evacuation.evacuate(endpoint);
    }
  };

  const engineOf = (endpoint: EndpointState): LinkedEngine => {
    const engine = engines.get(endpoint);
    if (engine === undefined) throw new Error(`${endpoint.spec.name} has no engine`);
    return engine;
  };

  const mostSlots = (): number => Math.max(1, ...fleet.endpoints.map(({ spec }) => spec.slots));
  const dispatch = createDispatch({
    fleet,
    rooms,
    evacuation,
    clock,
    random,
    budget: createRetryBudget(mostSlots, clock.now()),
    linkOf: (endpoint) => engineOf(endpoint).link,
    events: {
      attemptEnded(endpoint, end) {
        metrics.attempts.with(endpoint.spec.name, end.kind).add(1);
        if (end.usage === undefined) return;
        metrics.tokens.with(endpoint.spec.tier, "prompt").add(end.usage.prompt);
        metrics.tokens.with(endpoint.spec.tier, "completion").add(end.usage.completion);
      },
      breakerMoved(endpoint, asked, to) {
        log.warn({ endpoint: endpoint.spec.name, model: asked.model }, `breaker ${to}`);
        // Recovery is asked for instead of waited for.
        engines.get(endpoint)?.prober.watch(to === "opened" ? asked : undefined);
      },
    },
  });
  linkAll();
  const results = createResultCache({ dispatch, fleet, settings: loaded.config.cache.result, clock, random });
  const archetypes = createArchetypes(loaded.config.intents.archetypes);
  const table = createIntentTable(archetypes, loaded.config.intents, clock.now);
  const intents = createIntents({
    table,
    engineShare: loaded.config.intents.engineShare,
    dispatch,
    fleet,
    policy: () => settings.policy,
    clock,
    random,
    events: {
      questionEnded: (outcome) => metrics.intentQuestions.with(outcome).add(1),
      engineMisanswered(name) {
        const endpoint = fleet.named(name);
        if (endpoint !== undefined) engines.get(endpoint)?.doubtConstraint();
      },
    },
  });
  const caches = { intents: table, results: results.control };
  registerCacheGauges(registry, caches);
  registerIntentGauges(registry, table, () => intents.load);
  const stopWatch = watchSilence({
    fleet,
    evacuation,
    clock,
    // A refusal is an answer too: it is for the breaker to judge.
    look: async (endpoint, asked, limitMs) =>
      (await engineOf(endpoint).prober.look(asked, limitMs)) !== "silent",
    onSilent(endpoint, asked) {
      log.warn({ endpoint: endpoint.spec.name, inflight: endpoint.inflight }, "endpoint is silent");
      engines.get(endpoint)?.prober.watch(asked);
    },
  });

  const door: Door = {
    clock,
    random,
    dispatch: results.dispatch,
    intents,
    fleet,
    cluster: alone(loaded.config.host.name),
    caches,
    onCacheCleared,
    lifecycle: createLifecycle(),
    account: createRequestAccount(metrics, log, clock),
    intentAccount: createIntentAccount(metrics),
    registry,
    log,
    settings: () => settings,
    printedConfig: () => toToml(loaded.origins),
  };

  return {
    door,
    savedCaches: [savedIntents(table, clock), savedResults(results)],
    reconfigure(next) {
      const { cache, intents: intentsBefore } = loaded.config;
      loaded = next;
      results.control.configure(changed(cache.result, next.config.cache.result));
      settings = settingsOf(next.config);
      fleet.reconfigure(membersOf(next.config));
      linkAll();
      const intentsNext = next.config.intents;
      if (!isDeepStrictEqual(intentsBefore, intentsNext)) {
        const { maxEntries, maxBytes } = table.settings();
        intents.reconfigure(createArchetypes(intentsNext.archetypes), {
          engineShare: intentsNext.engineShare,
          // An operator's own limits, set at run time, stay where the file says nothing new.
          maxEntries:
            intentsNext.maxEntries === intentsBefore.maxEntries ? maxEntries : intentsNext.maxEntries,
          maxBytes: intentsNext.maxBytes === intentsBefore.maxBytes ? maxBytes : intentsNext.maxBytes,
        });
      }
      // There may be more slots than before.
      for (const endpoint of fleet.endpoints) linkParts.onBack(endpoint);
    },
    acquainted(limitMs) {
      return new Promise((resolve) => {
        const until = clock.now() + limitMs;
        const check = (): void => {
          const known = fleet.endpoints.every(
            ({ models, health }) => models !== undefined && health !== "unknown",
          );
          if (known || clock.now() >= until) resolve();
          else clock.after(5, check);
        };
        check();
      });
    },
    stop() {
      stopWatch();
      intents.stop();
      stopProcessGauges();
      for (const engine of engines.values()) {
        engine.stop();
        engine.link.client.close();
      }
    },
  };
}

/** What the files say otherwise than before; what an operator has set at run time stays where they agree. */
function changed(before: CacheSettings, next: CacheSettings): Partial<CacheSettings> {
  return {
    ...(before.enabled === next.enabled ? {} : { enabled: next.enabled }),
    ...(before.maxEntries === next.maxEntries ? {} : { maxEntries: next.maxEntries }),
    ...(before.maxBytes === next.maxBytes ? {} : { maxBytes: next.maxBytes }),
    ...(before.ttlMs === next.ttlMs ? {} : { ttlMs: next.ttlMs }),
  };
}

const endpointName = (config: Config, engine: string): string => `${config.host.name}/${engine}`;

function membersOf(config: Config): FleetMember[] {
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

function settingsOf(config: Config): DoorSettings {
  const tierBalancers = {
    gold: balancers[config.tiers.gold.balancer],
    silver: balancers[config.tiers.silver.balancer],
    bronze: balancers["least-pressure"],
  };
  const rungs = new Map(tiers.map((tier): [string, Rung] => [tier, { tier, balance: tierBalancers[tier] }]));
  const ruleOf = ({ ladder, firstByteMs, totalMs }: Config["sla"]["realtime"]): SlaRule => ({
    ladder: ladder.flatMap((tier) => rungs.get(tier) ?? []),
    firstByteMs,
    totalMs,
  });
  const { realtime, interactive, async } = config.sla;
  return {
    policy: {
      sla: { realtime: ruleOf(realtime), interactive: ruleOf(interactive), async: ruleOf(async) },
      aliases: config.aliases,
      balancers: tierBalancers,
    },
    bodyLimitBytes: config.limits.bodyBytes,
    intentDeadlineMs: config.intents.deadlineMs,
    authenticate: config.auth.mode === "keys" ? createAuthenticate(config.auth.keys) : undefined,
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
