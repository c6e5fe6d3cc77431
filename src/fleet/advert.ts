// The advert: what a host says of itself to every other, as plain data in as few bytes as may be. Gossip carries it and
// does not look inside; what a fleet makes of it is fleet.ts's business.

import { cacheNames } from "../base/cache-control.ts";
import type { Instant } from "../base/clock.ts";
import { isRecord } from "../base/is-record.ts";
import type { ToldClearing } from "./clearings.ts";
import { clearingsRule } from "./clearings.ts";
import type { Tier } from "./endpoint.ts";
import { tiers } from "./endpoint.ts";
import type { EndpointState } from "./endpoint-state.ts";
import type { EngineState, Load } from "./load.ts";
import { engineStates, isCount, isTime, loadOf } from "./load.ts";
import type { ToldDeaths } from "./quarantine.ts";
import { quarantineRule } from "./quarantine.ts";
import { breaksForAll } from "./standing.ts";

export const advertRule = {
  /** A reader of this version or a later one understands it; what it does not know it passes over. */
  version: 1,
  /** Every host hears every advert: beyond so many hosts, twice a second of each would cost more than the news is worth. */
  smallFleet: 32,
  everyMs: 250,
  everyMsInLargeFleet: 1000,
  enginesMost: 20,
  /** Characters of model names as JSON, all engines together: with them an advert stays below what gossip takes (8 KB). */
  modelCharsMost: 3584,
  modelNameMost: 256,
  zoneMost: 64,
  addressMost: 300,
} as const;

/** How often a host speaks anew, changed or not: the same work on a quiet day and on a bad one. */
export const advertEveryMs = (hosts: number): number =>
  hosts <= advertRule.smallFleet ? advertRule.everyMs : advertRule.everyMsInLargeFleet;

export interface AdvertEngine {
  /** Without its host's. */
  readonly name: string;
  readonly tier: Tier;
  readonly models: readonly string[];
  readonly slots: number;
  readonly state: EngineState;
  readonly load: Load;
}

export interface Advert {
  /** Base address of the public listener. */
  readonly public: string;
  readonly zone: string | undefined;
  readonly draining: boolean;
  /** Since its router started. */
  readonly upMs: number;
  readonly intents: { readonly entries: number; readonly epoch: number } | undefined;
  readonly engines: readonly AdvertEngine[];
  /** What everybody else should clear too; absent: nothing of late. */
  readonly clearings?: readonly ToldClearing[] | undefined;
  /** Tiers of which its router has just found all peers full; absent: none. */
  readonly short?: readonly Tier[] | undefined;
  /** Requests that engines died of; absent: none. */
  readonly deaths?: readonly ToldDeaths[] | undefined;
}

export interface HostFacts
  extends Pick<
    Advert,
    "public" | "zone" | "draining" | "upMs" | "intents" | "clearings" | "short" | "deaths"
  > {
  readonly name: string;
}

/** As it travels. Engines are rows, since 500 hosts repeat every field's name. */
export interface WireAdvert {
  readonly v: number;
  readonly at: number;
  readonly up_ms: number;
  readonly public: string;
  readonly zone?: string;
  readonly draining?: true;
  readonly intents?: readonly [entries: number, epoch: number];
  readonly engines: readonly WireEngine[];
  readonly clearings?: readonly WireClearing[];
  readonly short?: readonly Tier[];
  readonly deaths?: readonly ToldDeaths[];
}
type WireEngine = readonly [
  name: string,
  tier: Tier,
  models: readonly string[],
  slots: number,
  inflight: number,
  waiting: number,
  kvPercent: number | null,
  firstByteMs: number | null,
  state: EngineState,
];
type WireClearing = readonly [
  serial: number,
  cache: string | null,
  archetype: string | null,
  prefix: string | null,
];

export function advertOf(local: readonly EndpointState[], host: HostFacts, now: Instant): WireAdvert {
  const { clearings = [], short = [], deaths = [] } = host;
  let charsLeft: number = advertRule.modelCharsMost;
  const engines = local.slice(0, advertRule.enginesMost).map((endpoint): WireEngine => {
    const { spec, models = [] } = endpoint;
    const told = models.filter((model) => {
      const chars = JSON.stringify(model).length + 1;
      if (!isModelName(model) || chars > charsLeft) return false;
      charsLeft -= chars;
      return true;
    });
    const { inflight, waiting, kvPercent = null, firstByteMs = null } = endpoint.load(now);
    const name = spec.name.slice(host.name.length + 1);
    const state = stateOf(endpoint, now);
    return [name, spec.tier, told, spec.slots, inflight, waiting, kvPercent, firstByteMs, state];
  });
  return {
    v: advertRule.version,
    at: Math.round(now),
    up_ms: Math.round(host.upMs),
    public: host.public,
    ...(host.zone === undefined ? {} : { zone: host.zone }),
    ...(host.draining ? { draining: true } : {}),
    ...(host.intents === undefined ? {} : { intents: [host.intents.entries, host.intents.epoch] }),
    engines,
    ...(clearings.length === 0 ? {} : { clearings: clearings.map(wireClearing) }),
    ...(short.length === 0 ? {} : { short }),
    ...(deaths.length === 0 ? {} : { deaths }),
  };
}

const wireClearing = ({ serial, clearing }: ToldClearing): WireClearing => [
  serial,
  clearing.cache ?? null,
  clearing.archetype ?? null,
  clearing.prefix ?? null,
];

function stateOf(endpoint: EndpointState, now: Instant): EngineState {
  if (endpoint.health === "unhealthy") return "unhealthy";
  if (endpoint.silent) return "silent";
  return breaksForAll(endpoint, now) ? "open" : "ok";
}

/** Undefined where it is no advert that we understand; an engine that we cannot read costs only itself. */
export function readAdvert(value: unknown): Advert | undefined {
  if (!isRecord(value)) return undefined;
  const { v, at, up_ms, public: address, zone, draining, intents, engines, clearings, short, deaths } = value;
  if (!isCount(v) || v > advertRule.version) return undefined;
  if (!isTime(at) || !isTime(up_ms) || !isAddress(address)) return undefined;
  if (!(zone === undefined || isZone(zone)) || !Array.isArray(engines)) return undefined;
  const told = Array.isArray(clearings) ? clearings.slice(0, clearingsRule.toldMost) : [];
  const cleared = told.flatMap((row) => readClearing(row) ?? []);
  const died = Array.isArray(deaths)
    ? deaths.slice(0, quarantineRule.toldMost).flatMap((row) => readDeaths(row) ?? [])
    : [];
  const shortOf = Array.isArray(short) ? tiers.filter((tier) => short.includes(tier)) : [];
  return {
    public: address,
    zone,
    draining: draining === true,
    upMs: up_ms,
    intents: readIntents(intents),
    ...(cleared.length === 0 ? {} : { clearings: cleared }),
    ...(shortOf.length === 0 ? {} : { short: shortOf }),
    ...(died.length === 0 ? {} : { deaths: died }),
    engines: engines.slice(0, advertRule.enginesMost).flatMap((row) => readEngine(row, at) ?? []),
  };
}

function readIntents(value: unknown): Advert["intents"] {
  if (!Array.isArray(value)) return undefined;
  const [entries, epoch]: unknown[] = value;
  return isTime(entries) && isTime(epoch) ? { entries, epoch } : undefined;
}

function readEngine(row: unknown, at: number): AdvertEngine | undefined {
  if (!Array.isArray(row)) return undefined;
  const [name, tier, models, slots, inflight, waiting, kvPercent, firstByteMs, state]: unknown[] = row;
  if (!isName(name) || !isTier(tier) || !Array.isArray(models) || !isCount(slots) || slots < 1)
    return undefined;
  const load = loadOf(at, inflight, waiting, kvPercent ?? undefined, firstByteMs ?? undefined);
  if (load === undefined) return undefined;
  let charsLeft: number = advertRule.modelCharsMost;
  const named = models.filter((model): model is string => {
    if (!isModelName(model) || model.length > charsLeft) return false;
    charsLeft -= model.length;
    return true;
  });
  // A word that we do not know is of a trouble that we do not know.
  const known = engineStates.find((each) => each === state) ?? "unhealthy";
  return { name, tier, models: named, slots, state: known, load };
}

/** A cache that we do not know we do not have. */
function readClearing(row: unknown): ToldClearing | undefined {
  if (!Array.isArray(row)) return undefined;
  const [serial, cacheName, archetype, prefix]: unknown[] = row.map((part: unknown) => part ?? undefined);
  const cache = cacheNames.find((name) => name === cacheName);
  if (!isTime(serial) || serial === 0 || cache !== cacheName) return undefined;
  if (!isStartOrNone(archetype) || !isStartOrNone(prefix)) return undefined;
  return { serial, clearing: { cache, archetype, prefix } };
}

function readDeaths(row: unknown): ToldDeaths[] | undefined {
  if (!Array.isArray(row)) return undefined;
  const [hash, deaths, held]: unknown[] = row;
  if (typeof hash !== "string" || !/^[0-9a-f]{16}$/.test(hash) || !isCount(deaths)) return undefined;
  return [held === true ? [hash, deaths, true] : [hash, deaths]];
}

/** Of a host or an engine; configuration allows no other: it becomes a label and a header. */
export const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

export const isName = (value: unknown): value is string =>
  typeof value === "string" && namePattern.test(value);

const isTier = (value: unknown): value is Tier => tiers.some((tier) => tier === value);
const isModelName = (value: unknown): value is string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused.
  typeof value === "string" && value.length <= advertRule.modelNameMost && /^[^\x00-\x1f\x7f]+$/.test(value);
const isZone = (value: unknown): value is string =>
  typeof value === "string" && value.length <= advertRule.zoneMost && /^[\x21-\x7e]+$/.test(value);
const isAddress = (value: unknown): value is string =>
  typeof value === "string" &&
  value.length <= advertRule.addressMost &&
  isPort(/^https?:\/\/(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):(\d{1,5})$/.exec(value)?.[1]);
const isPort = (digits: string | undefined): boolean => Number(digits) > 0 && Number(digits) < 65_536;
const isStartOrNone = (value: unknown): value is string | undefined =>
  value === undefined || (typeof value === "string" && value.length <= clearingsRule.prefixCharsMost);
