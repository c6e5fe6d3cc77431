// The configuration as the rest of the program sees it: checked, complete, read-only, units last. `assemble.ts`
// hands each room its slice.

import type { Address } from "../base/address.ts";
import { bytesPerMb } from "../base/cache-bounds.ts";
import type { EngineKind } from "../engines/engine.ts";
import type { Tier } from "../fleet/endpoint.ts";
import type { Seed } from "../host/discovery.ts";
import type { SealKeys } from "../host/sealed-message.ts";
import type { CallerRule } from "../http/callers.ts";
import type { ArchetypeRule } from "../intents/archetype.ts";
import type { Feature } from "../intents/feature.ts";
import type { BalancerName } from "../routing/balancers/balancers.ts";
import type { SlaClass } from "../routing/sla.ts";
import type { Advertised } from "./advertised.ts";
import type { ApiKey } from "./keys-file.ts";
import type { Values } from "./schema.ts";
import type { Secrets, TlsFiles } from "./secrets.ts";

export interface Config {
  readonly host: { readonly name: string; readonly zone?: string };
  readonly listen: { readonly public: Address; readonly admin: Address; readonly gossip?: Address };
  readonly auth: {
    readonly mode: "keys" | "none";
    /** Empty unless the mode is `keys`. Two may have one name. */
    readonly keys: readonly ApiKey[];
    /** By the names of keys. */
    readonly rules: ReadonlyMap<string, CallerRule>;
    readonly adminToken?: string;
  };
  readonly limits: { readonly bodyBytes: number; readonly memoryBytes?: number };
  readonly log: { readonly level: LogLevel };
  readonly metrics: { readonly public: boolean };
  readonly tls?: TlsFiles;
  readonly cors: { readonly origins: readonly string[] };
  readonly engines: readonly EngineConfig[];
  readonly aliases: ReadonlyMap<string, AliasConfig>;
  readonly sla: Readonly<Record<SlaClass, SlaConfig>>;
  readonly tiers: Readonly<Record<EngineTier, TierConfig>>;
  readonly intents: IntentsConfig;
  readonly cache: { readonly result: ResultCacheConfig };
  /** There whenever `listen.gossip` is. */
  readonly cluster?: ClusterConfig;
  /** Undefined: there are no jobs. */
  readonly bronze?: BronzeConfig;
  readonly state: { readonly dir: string };
  readonly drain: { readonly deadlineMs: number };
}

export type LogLevel = Values["log"]["level"];

/** The tiers that an engine can serve; bronze has no engines. */
export type EngineTier = Values["engine"][number]["tier"];

export interface EngineConfig {
  /** Unique on this host. */
  readonly name: string;
  readonly tier: EngineTier;
  readonly kind: EngineKind;
  /** Scheme, host and port; no path and no slash at the end. */
  readonly url: string;
  /** Undefined: what the engine lists. */
  readonly models?: readonly string[];
  readonly maxConcurrent: number;
  readonly maxQueue: number;
  readonly apiKey?: string;
}

export interface AliasConfig {
  readonly tier: Tier;
  readonly model?: string;
  readonly sla?: SlaClass;
}

export interface SlaConfig {
  readonly ladder: readonly Tier[];
  readonly firstByteMs: number;
  readonly totalMs: number;
}

export interface TierConfig {
  readonly targetP95Ms: number;
  readonly balancer: BalancerName;
  /** Whether calls that are slow with their first byte are doubled. */
  readonly hedge: boolean;
}

export interface IntentsConfig {
  readonly deadlineMs: number;
  readonly maxEntries: number;
  readonly maxBytes: number;
  /** Above 0, at most 1. */
  readonly engineShare: number;
  /** As ordered in the file. */
  readonly archetypes: readonly ArchetypeRule[];
}

export interface ResultCacheConfig {
  readonly enabled: boolean;
  readonly ttlMs: number;
  readonly maxEntries: number;
  readonly maxBytes: number;
}

export interface ClusterConfig {
  readonly fleet: string;
  readonly seeds: readonly Seed[];
  readonly advertise?: Advertised;
  /** Of the seals on everything that routers say to each other. */
  readonly keys: SealKeys;
}

interface JobsConfig {
  readonly maxQueued: number;
  readonly retentionMs: number;
}

/** Places are `s3://…`. */
export type BronzeConfig = JobsConfig &
  (
    | { readonly runner: "local" }
    | {
        readonly runner: "sagemaker";
        readonly endpoint: string;
        readonly region: string;
        readonly output: string;
        readonly input?: string;
        readonly manifests?: string;
        /** The first is asked for where a caller names none. */
        readonly models: readonly [string, ...string[]];
      }
  );

export function toConfig(values: Values, secrets: Secrets): Config {
  return {
    host: toHost(values.host),
    listen: toListen(values.listen),
    auth: {
      mode: values.auth.mode,
      keys: secrets.keys,
      rules: new Map(Object.entries(values.auth.key).map(([name, key]) => [name, toCallerRule(key)])),
      ...(secrets.adminToken === undefined ? {} : { adminToken: secrets.adminToken }),
    },
    limits: toLimits(values.limits),
    log: values.log,
    metrics: values.metrics,
    ...(secrets.tls === undefined ? {} : { tls: secrets.tls }),
    cors: values.cors,
    engines: values.engine.map((engine, index) => toEngine(engine, secrets.engineKeys.get(index))),
    aliases: new Map(Object.entries(values.aliases).map(([name, alias]) => [name, toAlias(alias)])),
    sla: {
      realtime: toSla(values.sla.realtime),
      interactive: toSla(values.sla.interactive),
      async: toSla(values.sla.async),
    },
    tiers: { gold: toTier(values.tier.gold), silver: toTier(values.tier.silver) },
    intents: toIntents(values.intents),
    cache: { result: toResultCache(values.cache.result) },
    ...toCluster(values, secrets.gossipKeys),
    ...toBronze(values),
    state: values.state,
    drain: { deadlineMs: values.drain.deadline_ms },
  };
}

const toLimits = ({ body_bytes, memory_bytes }: Values["limits"]): Config["limits"] => ({
  bodyBytes: body_bytes,
  ...(memory_bytes === undefined ? {} : { memoryBytes: memory_bytes }),
});

const toHost = ({ name, zone }: Values["host"]): Config["host"] => ({
  name,
  ...(zone === undefined ? {} : { zone }),
});

const toListen = ({ gossip, ...always }: Values["listen"]): Config["listen"] => ({
  ...always,
  ...(gossip === undefined ? {} : { gossip }),
});

const toCallerRule = ({ sla, requests_per_second, burst }: Values["auth"]["key"][string]): CallerRule => ({
  ...(sla === undefined ? {} : { sla }),
  ...(requests_per_second === undefined
    ? {}
    : {
        rate: {
          perSecond: requests_per_second,
          burst: burst ?? Math.max(1, Math.ceil(requests_per_second)),
        },
      }),
});

/** The rules have seen to it that a gossip listener has a fleet and a secret. */
function toCluster({ listen, cluster }: Values, keys: SealKeys | undefined): Pick<Config, "cluster"> {
  if (listen.gossip === undefined || cluster?.fleet === undefined || keys === undefined) return {};
  const { fleet, seeds, advertise } = cluster;
  return { cluster: { fleet, seeds, ...(advertise === undefined ? {} : { advertise }), keys } };
}

/** The rules have seen to it that SageMaker has all that it needs. */
function toBronze({ tier: { bronze }, jobs }: Values): Pick<Config, "bronze"> {
  if (bronze.runner === undefined) return {};
  const { runner, endpoint, region, output, input, manifests, models = [] } = bronze;
  const [model, ...more] = models;
  const kept = { maxQueued: jobs.max_queued, retentionMs: jobs.retention_hours * 3_600_000 };
  if (runner === "local") return { bronze: { ...kept, runner } };
  if (endpoint === undefined || region === undefined || output === undefined || model === undefined)
    return {};
  return {
    bronze: {
      ...kept,
      runner,
      endpoint,
      region,
      output,
      ...(input === undefined ? {} : { input }),
      ...(manifests === undefined ? {} : { manifests }),
      models: [model, ...more],
    },
  };
}

const toEngine = (engine: Values["engine"][number], apiKey: string | undefined): EngineConfig => ({
  name: engine.name,
  tier: engine.tier,
  kind: engine.kind,
  url: new URL(engine.url).origin,
  ...(engine.models === undefined ? {} : { models: engine.models }),
  maxConcurrent: engine.max_concurrent,
  maxQueue: engine.max_queue,
  ...(apiKey === undefined ? {} : { apiKey }),
});

const toAlias = ({ tier, model, sla }: Values["aliases"][string]): AliasConfig => ({
  tier,
  ...(model === undefined ? {} : { model }),
  ...(sla === undefined ? {} : { sla }),
});

const toSla = (sla: Values["sla"]["realtime"]): SlaConfig => ({
  ladder: sla.ladder,
  firstByteMs: sla.first_byte_ms,
  totalMs: sla.total_ms,
});

const toTier = (tier: Values["tier"]["gold"]): TierConfig => ({
  targetP95Ms: tier.target_p95_ms,
  balancer: tier.balancer,
  hedge: tier.hedge,
});

const toIntents = (intents: Values["intents"]): IntentsConfig => ({
  deadlineMs: intents.deadline_ms,
  maxEntries: intents.max_entries,
  maxBytes: intents.max_bytes,
  engineShare: intents.engine_share,
  archetypes: Object.entries(intents.archetype).map(([name, archetype]) => ({
    name,
    prompt: archetype.prompt,
    actions: archetype.actions,
    defaultAction: archetype.default,
    pick: archetype.pick,
    temperature: archetype.temperature,
    model: archetype.model,
    ttlMs: archetype.ttl_ms ?? intents.ttl_ms,
    staleMs: archetype.stale_ms ?? intents.stale_ms,
    features: Object.entries(archetype.feature).map(toFeature),
  })),
});

/** A rule has seen to it that exactly one of the three is written. */
export function toFeature([name, { buckets, oneof, unit }]: [string, FeatureValues]): Feature {
  if (buckets !== undefined) return { kind: "buckets", name, edges: buckets, unit };
  return oneof === undefined ? { kind: "bool", name } : { kind: "oneof", name, values: oneof };
}

type FeatureValues = Values["intents"]["archetype"][string]["feature"][string];

const toResultCache = (cache: Values["cache"]["result"]): ResultCacheConfig => ({
  enabled: cache.enabled,
  ttlMs: Math.round(cache.ttl_seconds * 1000),
  maxEntries: cache.max_entries,
  maxBytes: Math.round(cache.max_memory_mb * bytesPerMb),
});
