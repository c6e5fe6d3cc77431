// Kept answers as bytes, for the next life of the process. Pure: files, checksums and versions are the host's.
//
// A record for each, most recently used first: u32 head length, u32 body length, little-endian; the head as JSON
// `[key, ageMs, ttlMs | null, tier, locality, endpoint, model | null, headers]`; the body as it is.

import type { CacheRestore, RestoreRefusal } from "../base/cache-restore.ts";
import { parseJson } from "../base/parse-json.ts";
import type { Kept } from "../base/ttl-lru.ts";
import type { Locality, Tier } from "../fleet/endpoint.ts";
import { localities, tiers } from "../fleet/endpoint.ts";
import type { KeptAnswer } from "./kept-answer.ts";
import { lastingHeaders } from "./kept-answer.ts";

const lengthsBytes = 8;

export function writeResults(
  entries: Iterable<readonly [key: string, entry: Kept<KeptAnswer>]>,
  maxBytes: number,
): Uint8Array {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for (const [key, { value, ageMs, ttlMs }] of entries) {
    const { tier, locality, name } = value.answeredBy;
    const head = Buffer.from(
      JSON.stringify([key, ageMs, ttlMs ?? null, tier, locality, name, value.model ?? null, value.headers]),
    );
    bytes += lengthsBytes + head.length + value.body.length;
    if (bytes > maxBytes) break;
    const lengths = Buffer.alloc(lengthsBytes);
    lengths.writeUInt32LE(head.length, 0);
    lengths.writeUInt32LE(value.body.length, 4);
    parts.push(lengths, head, value.body);
  }
  return Buffer.concat(parts);
}

export interface RestoredAnswer {
  readonly answer: KeptAnswer;
  /** When it was written. */
  readonly ageMs: number;
  readonly ttlMs: number | undefined;
}

/** Refused where the lengths do not add up, so that nothing of it can be trusted. The oldest record is handed out first. */
export function openResults(
  bytes: Uint8Array,
  put: (key: string, restored: RestoredAnswer) => boolean,
): CacheRestore | RestoreRefusal {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const starts: number[] = [];
  let at = 0;
  while (at < all.length) {
    if (at + lengthsBytes > all.length) return "damaged";
    starts.push(at);
    at += lengthsBytes + all.readUInt32LE(at) + all.readUInt32LE(at + 4);
  }
  if (at !== all.length) return "damaged";

  let restored = 0;
  let dropped = 0;
  const takeBack = (start: number): boolean => {
    const bodyAt = start + lengthsBytes + all.readUInt32LE(start);
    const head = readHead(all.toString("utf8", start + lengthsBytes, bodyAt));
    if (head === undefined) return false;
    const { key, ageMs, ttlMs, headers, answeredBy, model } = head;
    // A copy, or each answer would keep the whole snapshot in memory.
    const body = new Uint8Array(all.subarray(bodyAt, bodyAt + all.readUInt32LE(start + 4)));
    return put(key, { answer: { headers: lastingHeaders(headers), body, answeredBy, model }, ageMs, ttlMs });
  };
  return {
    get restored() {
      return restored;
    },
    get dropped() {
      return dropped;
    },
    step(count) {
      for (const start of starts.splice(Math.max(0, starts.length - count)).reverse()) {
        if (takeBack(start)) restored += 1;
        else dropped += 1;
      }
      return starts.length > 0;
    },
  };
}

function readHead(text: string) {
  const parsed = parseJson(text);
  if (!Array.isArray(parsed)) return undefined;
  const [key, ageMs, ttlMs, tier, locality, name, model, headers]: unknown[] = parsed;
  if (typeof key !== "string" || !isAge(ageMs) || !(ttlMs === null || isAge(ttlMs))) return undefined;
  if (!(model === null || typeof model === "string")) return undefined;
  if (!isTier(tier) || !isLocality(locality) || typeof name !== "string" || !isHeaders(headers)) {
    return undefined;
  }
  return {
    key,
    ageMs,
    ttlMs: ttlMs ?? undefined,
    headers,
    answeredBy: { tier, locality, name },
    model: model ?? undefined,
  };
}

const isAge = (value: unknown): value is number =>
  typeof value === "number" && Number.isFinite(value) && value >= 0;
const isTier = (value: unknown): value is Tier => tiers.some((tier) => tier === value);
const isLocality = (value: unknown): value is Locality => localities.some((locality) => locality === value);
const isHeaders = (value: unknown): value is KeptAnswer["headers"] =>
  Array.isArray(value) &&
  value.every(
    (pair) => Array.isArray(pair) && pair.length === 2 && pair.every((part) => typeof part === "string"),
  );
