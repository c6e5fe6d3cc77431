// One feature of a situation: how a value becomes one of a few buckets, and what a bucket is called in a prompt.
// A kind is a row of the table below.

import { few, inWords } from "./in-words.ts";

interface Members {
  buckets: {
    /** Ascending; n edges make n + 1 buckets. A value's bucket is the count of edges <= value. */
    readonly edges: readonly number[];
    readonly unit: string | undefined;
  };
  bool: Readonly<Record<never, never>>;
  oneof: { readonly values: readonly string[] };
}

export type FeatureKind = keyof Members;
type FeatureOf<Kind extends FeatureKind> = {
  [K in Kind]: { readonly kind: K; readonly name: string } & Members[K];
}[Kind];
export type Feature = FeatureOf<FeatureKind>;

/** As clients read it in `GET /v1/npc/archetypes`. */
export interface FeatureDescription {
  readonly name: string;
  readonly kind: FeatureKind;
  readonly radix: number;
  readonly buckets?: readonly number[];
  readonly oneof?: readonly string[];
  readonly unit?: string;
}

interface Row<F> {
  /** How many buckets there are. */
  readonly radix: (feature: F) => number;
  /** The value's bucket, or undefined where the feature cannot have that value. */
  readonly bucket: (feature: F, value: unknown) => number | undefined;
  /** What the value must be, as in "threat must be a number". */
  readonly demand: (feature: F) => string;
  /** What the bucket is called, as in "threat: 0.5 to 0.8". */
  readonly called: (feature: F, bucket: number) => string;
  /** What a client must know beyond name, kind and radix. */
  readonly described: (feature: F) => Pick<FeatureDescription, "buckets" | "oneof" | "unit">;
}

const rows: { readonly [K in FeatureKind]: Row<FeatureOf<K>> } = {
  buckets: {
    radix: ({ edges }) => edges.length + 1,
    bucket: ({ edges }, value) => (Number.isFinite(value) ? countAtMost(edges, Number(value)) : undefined),
    demand: () => "a number",
    called: rangeName,
    described: ({ edges, unit }) => (unit === undefined ? { buckets: edges } : { buckets: edges, unit }),
  },
  bool: {
    radix: () => 2,
    bucket: (_, value) => (value === true ? 1 : value === false ? 0 : undefined),
    demand: () => "true or false",
    called: (_, bucket) => (bucket === 1 ? "yes" : "no"),
    described: () => ({}),
  },
  oneof: {
    radix: ({ values }) => values.length,
    bucket: ({ values }, value) => {
      const at = typeof value === "string" ? values.indexOf(value) : -1;
      return at < 0 ? undefined : at;
    },
    demand: ({ values }) => `one of ${few(values)}`,
    called: ({ values }, bucket) => values[bucket] ?? "",
    described: ({ values }) => ({ oneof: values }),
  },
};

export const radixOf = <K extends FeatureKind>(feature: FeatureOf<K>): number =>
  rows[feature.kind].radix(feature);

/** The bucket of a value as JSON has it; undefined where it is of the wrong type or unknown: `complaint` says why. */
export const bucketOf = <K extends FeatureKind>(feature: FeatureOf<K>, value: unknown): number | undefined =>
  rows[feature.kind].bucket(feature, value);

/** Why `bucketOf` refused a value, for the caller to read. */
export const complaint = <K extends FeatureKind>(feature: FeatureOf<K>, value: unknown): string =>
  `${feature.name} must be ${rows[feature.kind].demand(feature)}, not ${inWords(value)}`;

/** The feature in one of its buckets, as the prompt has it. */
export const bucketName = <K extends FeatureKind>(feature: FeatureOf<K>, bucket: number): string =>
  `${feature.name}: ${rows[feature.kind].called(feature, bucket)}`;

export const describeFeature = <K extends FeatureKind>(feature: FeatureOf<K>): FeatureDescription => ({
  name: feature.name,
  kind: feature.kind,
  radix: radixOf(feature),
  ...rows[feature.kind].described(feature),
});

function countAtMost(edges: readonly number[], value: number): number {
  let count = 0;
  for (const edge of edges) {
    if (edge > value) break;
    count += 1;
  }
  return count;
}

function rangeName({ edges, unit }: FeatureOf<"buckets">, bucket: number): string {
  const from = edges[bucket - 1];
  const below = edges[bucket];
  const tail = unit === undefined ? "" : ` ${unit}`;
  if (from === undefined) return below === undefined ? "any" : `below ${below}${tail}`;
  return below === undefined ? `${from}${tail} or more` : `${from} to ${below}${tail}`;
}
