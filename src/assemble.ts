// Introduces the rooms to each other: from a configuration to a router that can answer, without listeners.

import type { CacheName } from "./base/cache-control.ts";
import { together } from "./base/caches-together.ts";
import type { Clock } from "./base/clock.ts";
import type { Random } from "./base/random.ts";
import { until } from "./base/until.ts";
import type { ClusterLink } from "./cluster-link.ts";
import { createClusterLink } from "./cluster-link.ts";
import type { ClusterConfig } from "./config/config.ts";
import type { LoadedConfig } from "./config/load.ts";
import { toToml } from "./config/print.ts";
import { createDispatch } from "./dispatch/dispatch.ts";
import { createEvacuation } from "./dispatch/evacuation.ts";
import { createResultCache } from "./dispatch/result-cache.ts";
import { createRetryBudget } from "./dispatch/retry-budget.ts";
import { watchSilence } from "./dispatch/silence-watch.ts";
import { createWaitingRooms } from "./dispatch/waiting-room.ts";
import type { EndpointState } from "./fleet/endpoint-state.ts";
import { createFleet } from "./fleet/fleet.ts";
import { createQuarantine, quarantineRule } from "./fleet/quarantine.ts";
import { createDescriptors } from "./host/descriptors.ts";
import { openMemory } from "./host/memory.ts";
import { refusals } from "./host/sealed-message.ts";
import type { HostStrain } from "./host-strain.ts";
import { createHostStrain } from "./host-strain.ts";
import { alone } from "./http/alone.ts";
import { createCallers } from "./http/callers.ts";
import { clearAsTold } from "./http/clear-caches.ts";
import type { Door, DoorSettings } from "./http/door.ts";
import { createIntentAccount } from "./http/intent-account.ts";
import { createLifecycle } from "./http/lifecycle.ts";
import { createRequestAccount } from "./http/request-account.ts";
import { createJobLane } from "./job-lane.ts";
import { createDeskWithoutLane } from "./jobs/idle-desk.ts";
import { createPlayersFirst } from "./jobs/players-first.ts";
import { createLinks } from "./links.ts";
import { createNpcIntents } from "./npc-intents.ts";
import { savedIntents, savedResults } from "./saved-caches.ts";
import { changed, membersOf, settingsOf } from "./slices.ts";
import type { SavedCache } from "./snapshots.ts";
import { registerCacheGauges } from "./telemetry/cache-gauges.ts";
import { createEndpointLabels } from "./telemetry/endpoint-labels.ts";
import {
  registerFleetGauges,
  registerQuarantineGauge,
  registerTierTargets,
} from "./telemetry/fleet-gauges.ts";
import { registerGossipGauges, registerMemberGauge } from "./telemetry/gossip-gauges.ts";
import type { Log } from "./telemetry/log.ts";
import { createMetrics } from "./telemetry/metrics.ts";
import type { RunningBuild } from "./telemetry/process-gauges.ts";
import { registerProcessGauges } from "./telemetry/process-gauges.ts";
import { createRegistry } from "./telemetry/registry.ts";

export interface RouterParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly onCacheCleared: (cache: CacheName) => void;
  readonly build: RunningBuild;
  /** Where the AWS SDK looks for its endpoints and credentials. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface Router {
  readonly door: Door;
  /** The base address of the public listener, once that is open. */
  listensAt(publicUrl: string): void;
  /** Undefined: the configuration names no fleet. */
  readonly cluster: ClusterLink | undefined;
  readonly hostStrain: Pick<HostStrain, "watch">;
  /** What outlives the process. */
  readonly savedCaches: readonly SavedCache[];
  /** Takes over what a reload may change. */
  reconfigure(loaded: LoadedConfig): void;
  /** Resolves when every engine has said what it serves, or `limitMs` have passed. */
  acquainted(limitMs: number): Promise<void>;
  /** At once, but for jobs that are under way: they are cut short, and waited for a moment. */
  stop(): Promise<void>;
}

export function assemble(
  first: LoadedConfig,
  { clock, random, log, build, env, onCacheCleared }: RouterParts,
): Router {
  let loaded = first;
  const callers = createCallers(clock, random);
  const settingsFrom = ({ config }: LoadedConfig): DoorSettings => {
    callers.reconfigure({ names: config.auth.keys.map(({ name }) => name), rules: config.auth.rules });
    return settingsOf(config, callers);
  };
  let settings = settingsFrom(loaded);
  const { name, zone } = loaded.config.host;
  const fleet = createFleet(membersOf(loaded.config), { name, zone });
  const rooms = createWaitingRooms(clock);
  const evacuation = createEvacuation(rooms, clock);
  const registry = createRegistry();
  const metrics = createMetrics(registry);
  const labels = createEndpointLabels(fleet, [metrics.attempts]);
  const quarantine = createQuarantine((hash) => {
    const { deathsMost, stoppedMs } = quarantineRule;
    log.warn(
      { hash, engines: deathsMost, minutes: stoppedMs / 60_000 },
      "request stopped: engines died of it",
    );
  });
  registerFleetGauges(registry, fleet, clock.now, labels);
  registerQuarantineGauge(registry, quarantine, clock.now);
  const stopProcessGauges = registerProcessGauges(registry, clock, build);
  registerTierTargets(registry, () => loaded.config.tiers);

  const onBack = (endpoint: EndpointState): void =>
    rooms.slotFreed(endpoint, endpoint.spec.slots - endpoint.inflight);
  /** Of any endpoint; read with every request. */
  let mostSlots = 1;
  const links = createLinks({
    clock,
    random,
    log,
    fleet,
    intentOptions: () =>
      Math.max(0, ...loaded.config.intents.archetypes.map(({ actions }) => actions.length)),
    onBack,
    onAway(endpoint) {
      rooms.empty(endpoint);
      quarantine.gone(endpoint.spec.name, clock.now());
    },
    // Whoever waits there has no other watch over it any more.
    onGone: (endpoint) => evacuation.evacuate(endpoint),
    onChanged() {
      mostSlots = fleet.endpoints.reduce((most, { spec }) => Math.max(most, spec.slots), 1);
      labels.sweep();
    },
  });

  const dispatch = createDispatch({
    fleet,
    rooms,
    evacuation,
    clock,
    random,
    budget: createRetryBudget(() => mostSlots, clock.now()),
    linkOf: (endpoint) => links.to(endpoint).link,
    quarantine,
    events: {
      attemptEnded(endpoint, end) {
        metrics.attempts.with(labels.of(endpoint), end.kind).add(1);
        // What came by a peer is counted there.
        if (end.usage === undefined || endpoint.peer !== undefined) return;
        metrics.tokens.with(endpoint.spec.tier, "prompt").add(end.usage.prompt);
        metrics.tokens.with(endpoint.spec.tier, "completion").add(end.usage.completion);
      },
      hedged: (end) => metrics.hedges.with(end).add(1),
      breakerMoved(endpoint, asked, to) {
        log.warn({ endpoint: endpoint.spec.name, model: asked.model }, `breaker ${to}`);
        // Recovery is asked for instead of waited for.
        links.find(endpoint)?.lookout.watch(to === "opened" ? asked : undefined);
      },
    },
  });
  links.linkEngines(loaded.config);
  // Jobs make room for everybody else, intents among them; those that peers send here as well.
  const playersFirst = createPlayersFirst({ fleet, clock, random });
  const playersDispatch = playersFirst.around(dispatch);
  const { bronze } = loaded.config;
  const jobLane =
    bronze &&
    createJobLane({
      config: bronze,
      resultCache: loaded.config.cache.result,
      member: name,
      stateDir: loaded.config.state.dir,
      env,
      members: () => seen.members(),
      mayAdopt: () => lifecycle.phase === "ready",
      dispatch,
      playersFirst,
      fleet,
      policy: () => settings.policy,
      manyCallers: () => callers.many > 1,
      clock,
      random,
      log,
      registry,
    });
  const results = createResultCache({
    dispatch: playersDispatch,
    fleet,
    settings: loaded.config.cache.result,
    clock,
    random,
  });
  const misanswered = (engine: string): void => {
    const endpoint = fleet.named(engine);
    if (endpoint !== undefined) links.engine(endpoint)?.doubtConstraint();
  };
  const npc = createNpcIntents({
    config: loaded.config.intents,
    dispatch: playersDispatch,
    fleet,
    policy: () => settings.policy,
    clock,
    random,
    registry,
    events: {
      questionEnded: (outcome) => metrics.intentQuestions.with(outcome).add(1),
      engineMisanswered: misanswered,
    },
  });
  const { intents, table } = npc;
  const keptJobs = jobLane?.kept;
  const resultControl = keptJobs === undefined ? results.control : together(results.control, keptJobs);
  const caches = { intents: table, results: resultControl };
  registerCacheGauges(registry, caches);
  const stopWatch = watchSilence({
    fleet,
    evacuation,
    clock,
    // A refusal is an answer too: it is for the breaker to judge.
    look: async (endpoint, asked, limitMs) =>
      (await links.to(endpoint).lookout.look(asked, limitMs)) !== "silent",
    onSilent(endpoint, asked) {
      log.warn({ endpoint: endpoint.spec.name, inflight: endpoint.inflight }, "endpoint is silent");
      links.find(endpoint)?.lookout.watch(asked);
    },
  });

  let publicUrl: string | null = null;
  const lifecycle = createLifecycle();
  const joinCluster = (config: ClusterConfig, listening: string): ClusterLink => {
    const counts = registerGossipGauges(registry, {
      gossip: () => cluster?.gossip,
      name,
      traffic: () => cluster?.transport.counts() ?? { connections: 0, exchanges: 0 },
      reasons: refusals,
      now: clock.now,
    });
    return createClusterLink({
      clock,
      random,
      log,
      config,
      name,
      zone,
      listening,
      fleet,
      quarantine,
      draining: () => lifecycle.phase === "draining",
      intents: () => ({ entries: table.stats().entries, epoch: intents.archetypes.epoch }),
      refused: counts.rejected,
      events: {
        membership: counts.event,
        endpointsChanged: links.linkPeers,
        cleared: (from, clearing) => clearAsTold({ caches, onCacheCleared, log }, from, clearing),
      },
    });
  };
  const { cluster: clusterConfig, listen } = loaded.config;
  const cluster: ClusterLink | undefined =
    clusterConfig && listen.gossip && joinCluster(clusterConfig, listen.gossip.host);
  if (cluster !== undefined) links.joinFleet(cluster.seals);
  const seen = cluster?.door ?? alone(name, clock.now());
  registerMemberGauge(registry, seen.counts);
  jobLane?.start();

  const account = createRequestAccount(metrics, log, clock);
  const hostStrain = createHostStrain({
    clock,
    log,
    registry,
    caches: Object.values(caches),
    descriptors: createDescriptors(clock),
    memory: openMemory(),
    memoryBytes: () => loaded.config.limits.memoryBytes,
    refused(because) {
      account.rejected("host_overloaded");
      metrics.shed.with("none", because).add(1);
    },
  });
  const door: Door = {
    clock,
    random,
    dispatch: results.dispatch,
    intents,
    misanswered,
    fleet,
    cluster: seen,
    self: () => ({ public: publicUrl, zone: zone ?? null }),
    desk: jobLane?.desk ?? createDeskWithoutLane(name),
    lane: jobLane,
    askMember: cluster?.askMember,
    caches,
    onCacheCleared,
    lifecycle,
    account,
    strain: hostStrain.strain,
    intentAccount: createIntentAccount(metrics),
    registry,
    log,
    settings: () => settings,
    printedConfig: () => toToml(loaded.origins),
  };

  return {
    door,
    listensAt(url) {
      publicUrl = url;
    },
    cluster,
    hostStrain,
    savedCaches: [savedIntents(table, clock), savedResults(results)],
    reconfigure(next) {
      const { cache } = loaded.config;
      loaded = next;
      if (next.config.cluster !== undefined) cluster?.reconfigure(next.config.cluster);
      resultControl.configure(changed(cache.result, next.config.cache.result));
      settings = settingsFrom(next);
      fleet.reconfigure(membersOf(next.config));
      links.linkEngines(next.config);
      npc.reconfigure(next.config.intents);
      // There may be more slots than before.
      for (const endpoint of fleet.local) onBack(endpoint);
    },
    acquainted(limitMs) {
      const isKnown = ({ models, health }: EndpointState) => models !== undefined && health !== "unknown";
      return until(() => fleet.local.every(isKnown), limitMs, clock);
    },
    async stop() {
      const jobsEnded = jobLane?.stop();
      stopWatch();
      cluster?.stop();
      intents.stop();
      links.stop();
      stopProcessGauges();
      hostStrain.stop();
      await jobsEnded;
    },
  };
}
