// Idempotency keys for the whole fleet: who first puts the key's object into S3 has it, and names the job that it stands
// for. The keys of one host alone are sqlite-store.ts's.

import { asBuffer } from "../base/as-buffer.ts";
import { isRecord } from "../base/is-record.ts";
import { parseJson } from "../base/parse-json.ts";
import type { CallTrouble, ObjectPlace, Objects } from "./objects.ts";
import { below, readKnown, s3Url } from "./objects.ts";
import type { Idempotency } from "./store.ts";

export type Claimed =
  | { readonly kind: "claimed" }
  | { readonly kind: "same"; readonly id: string }
  /** The same key, another body. */
  | { readonly kind: "mismatch" }
  | CallTrouble;

const claimBytesMost = 4096;

/** Before the job is kept and accepted. Once more with the same id changes nothing. */
export async function claimKey(
  manifests: ObjectPlace,
  { caller, key, bodyHash }: Idempotency,
  id: string,
  objects: Objects,
  signal: AbortSignal,
): Promise<Claimed> {
  const name = new Bun.CryptoHasher("sha256").update(JSON.stringify([caller, key])).digest("hex");
  const place = below(manifests, "keys", name);
  const claim = Buffer.from(JSON.stringify({ id, body_hash: bodyHash }));
  const put = await objects.put(place, claim, "absent", signal);
  if (put.kind === "trouble") return put;
  if (put.kind === "stored") return { kind: "claimed" };
  const found = await readKnown(objects, place, claimBytesMost, signal);
  if (found.kind === "trouble") return found;
  const before = found.kind === "found" ? parseJson(asBuffer(found.bytes).toString("utf8")) : undefined;
  if (!isRecord(before) || typeof before["id"] !== "string")
    return { kind: "trouble", trouble: "refused", why: `${s3Url(place)} is no key` };
  if (before["body_hash"] !== bodyHash) return { kind: "mismatch" };
  return before["id"] === id ? { kind: "claimed" } : { kind: "same", id: before["id"] };
}
