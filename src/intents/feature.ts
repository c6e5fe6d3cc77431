// One feature of a situation: how a value becomes one of a few buckets, and what a bucket is called in a prompt.

export type Feature =
  | {
      readonly kind: "buckets";
      readonly name: string;
      /** Ascending; n edges make n + 1 buckets. A value's bucket is the count of edges <= value. */
      readonly edges: readonly number[];
      readonly unit: string | undefined;
    }
  | { readonly kind: "bool"; readonly name: string }
  | { readonly kind: "oneof"; readonly name: string; readonly values: readonly string[] };
