// What the lane asks of an object store, and what can come of a call to a service of AWS. The calls are
// aws.ts's.

export interface ObjectPlace {
  readonly bucket: string;
  readonly key: string;
}

export interface Objects {
  /** A cheap look before `get`, for what is mostly not there yet. False says nothing. */
  isSurelyMissing(place: ObjectPlace, signal: AbortSignal): Promise<boolean>;
  /** At most so many bytes; a longer object is not read. */
  get(place: ObjectPlace, bytesMost: number, signal: AbortSignal): Promise<ObjectRead>;
  put(
    place: ObjectPlace,
    bytes: Uint8Array,
    condition: PutCondition,
    signal: AbortSignal,
  ): Promise<ObjectWritten>;
  /** One page of keys that begin with the place's, in the order of their bytes, from the one behind `after` on. */
  list(prefix: ObjectPlace, after: string | undefined, signal: AbortSignal): Promise<ObjectsListed>;
}

/** `etag`: only over the version that was read. */
export type PutCondition = "always" | "absent" | { readonly etag: string };

export type ObjectRead =
  | { readonly kind: "found"; readonly bytes: Uint8Array; readonly etag: string }
  | { readonly kind: "missing" }
  /** 403: it is not there, or we may not see it. S3 tells which only to those who may list the bucket. */
  | { readonly kind: "hidden"; readonly why: string }
  | { readonly kind: "too-large"; readonly bytes: number }
  | CallTrouble;

export type ObjectWritten =
  | { readonly kind: "stored" }
  /** The condition did not hold: somebody was before us. */
  | { readonly kind: "overtaken" }
  | CallTrouble;

export type ObjectsListed =
  | { readonly kind: "listed"; readonly keys: readonly string[]; readonly isCut: boolean }
  | CallTrouble;

/** `denied`: who we are is known, and may not. `refused`: any other 4xx. `cut`: the caller's signal. */
export type CallFault =
  | "throttled"
  | "server"
  | "denied"
  | "refused"
  | "credentials"
  | "network"
  | "timeout"
  | "cut";

export interface CallTrouble {
  readonly kind: "trouble";
  readonly trouble: CallFault;
  /** For people: the service's own words, cut to a line. */
  readonly why: string;
}

/** For what is ours: there whoever may read may also list, so that 403 means what it says. */
export async function readKnown(
  objects: Objects,
  place: ObjectPlace,
  bytesMost: number,
  signal: AbortSignal,
): Promise<Exclude<ObjectRead, { kind: "hidden" | "too-large" }>> {
  const found = await objects.get(place, bytesMost, signal);
  switch (found.kind) {
    case "hidden":
      return { kind: "trouble", trouble: "denied", why: `${s3Url(place)}: ${found.why}` };
    case "too-large":
      return { kind: "trouble", trouble: "refused", why: `${s3Url(place)} has ${found.bytes} bytes` };
    default:
      return found;
  }
}

/** `s3://bucket/prefix`, as it stands in the configuration; undefined for anything else. */
export function readS3Url(text: string): ObjectPlace | undefined {
  const [, bucket, key] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/(.*))?$/s.exec(text) ?? [];
  return bucket === undefined ? undefined : { bucket, key: (key ?? "").replace(/\/+$/, "") };
}

export const s3Url = ({ bucket, key }: ObjectPlace): string => `s3://${bucket}/${key}`;

/** A prefix may be empty, and then has no slash. */
export const below = ({ bucket, key }: ObjectPlace, ...parts: readonly string[]): ObjectPlace => ({
  bucket,
  key: [key, ...parts].filter((part) => part !== "").join("/"),
});
