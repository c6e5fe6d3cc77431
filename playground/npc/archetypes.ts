// What a game client must know of the router's archetypes: fetched once, and again when the epoch has changed.

export interface Archetype {
  readonly id: number;
  readonly name: string;
  readonly actions: readonly string[];
  readonly default: string;
  readonly ttl_ms: number;
  readonly features: readonly Feature[];
}

export interface Feature {
  readonly name: string;
  readonly kind: "buckets" | "bool" | "oneof";
  readonly radix: number;
  /** The edges: a value's bucket is how many of them it has reached. */
  readonly buckets?: readonly number[];
  readonly oneof?: readonly string[];
}

export interface Archetypes {
  readonly epoch: number;
  readonly archetypes: readonly Archetype[];
}

export type FeatureValue = number | boolean | string;

export async function fetchArchetypes(routerUrl: string, key?: string): Promise<Archetypes> {
  const headers = key === undefined ? {} : { authorization: `Bearer ${key}` };
  const response = await fetch(`${routerUrl}/v1/npc/archetypes`, { headers });
  if (!response.ok) throw new Error(`the router refused the archetypes: ${response.status}`);
  return JSON.parse(await response.text());
}

/** The situation code: the buckets in mixed radix, the first feature the lowest digit. A missing feature is bucket 0. */
export function situationOf(
  archetype: Archetype,
  values: Readonly<Record<string, FeatureValue | undefined>>,
): number {
  return archetype.features.reduceRight(
    (code, feature) => code * feature.radix + bucketOf(feature, values[feature.name]),
    0,
  );
}

function bucketOf(feature: Feature, value: FeatureValue | undefined): number {
  if (value === undefined) return 0;
  if (feature.kind === "buckets")
    return (feature.buckets ?? []).filter((edge) => edge <= Number(value)).length;
  if (feature.kind === "bool") return value === true ? 1 : 0;
  return Math.max(0, (feature.oneof ?? []).indexOf(String(value)));
}
