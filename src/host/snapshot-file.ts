// The file in which a cache outlives its process: the frame around the bytes, and what to think of a file that one
// finds. What the bytes mean is the cache's own affair.

import { crc32 } from "node:zlib";
import type { CacheName } from "../base/cache-control.ts";
import type { StateDir, Written } from "./state-dir.ts";

/*
 * Little-endian:  0 magic, 8 bytes · 8 u32 format version · 12 u32 kind · 16 f64 wall clock at saving, ms
 *                24 u32 payload length · 28 u32 CRC-32 of all the rest · 32 payload
 */
const magic = new TextEncoder().encode("TLNCACHE");
const formatVersion = 1;
const headBytes = 32;
const kinds = { intents: 1, results: 2 } as const satisfies Record<CacheName, number>;

/** Of a payload. A million situations of ten actions; written in a second by the slowest disk that clouds lend. */
export const snapshotBytesMost = 64_000_000;

/** The checksum of so much takes a millisecond; then others have their turn. */
const checksumStepBytes = 8_000_000;

export interface Snapshot {
  readonly payload: Uint8Array;
  /** Wall clock, milliseconds since 1970. */
  readonly savedAtMs: number;
}

export type NoSnapshot =
  /** Nothing was saved, or it cannot be read (`message`): there is nothing to set aside. */
  | { readonly why: "missing" }
  | { readonly why: "unreadable"; readonly message: string }
  | { readonly why: "damaged" | "future-version" | "too-large" };

export type SnapshotRead = ({ readonly ok: true } & Snapshot) | ({ readonly ok: false } & NoSnapshot);

export const snapshotName = (cache: CacheName): string => `${cache}.cache`;

export function writeSnapshot(
  state: StateDir,
  cache: CacheName,
  { payload, savedAtMs }: Snapshot,
  stop: AbortSignal,
): Promise<Written> {
  const file = new Uint8Array(headBytes + payload.length);
  file.set(magic);
  const head = new DataView(file.buffer, 0, headBytes);
  head.setUint32(8, formatVersion, true);
  head.setUint32(12, kinds[cache], true);
  head.setFloat64(16, savedAtMs, true);
  head.setUint32(24, payload.length, true);
  file.set(payload, headBytes);
  head.setUint32(28, crc32(payload, crc32(file.subarray(0, 28))), true);
  return state.writeFile(snapshotName(cache), file, stop);
}

/** `pause` lets others have their turn. */
export async function readSnapshot(
  state: StateDir,
  cache: CacheName,
  pause: () => Promise<void>,
): Promise<SnapshotRead> {
  const read = await state.readFile(snapshotName(cache), headBytes + snapshotBytesMost);
  return read.ok ? unframed(read.bytes, cache, pause) : read;
}

async function unframed(
  file: Uint8Array,
  cache: CacheName,
  pause: () => Promise<void>,
): Promise<SnapshotRead> {
  const damaged = { ok: false, why: "damaged" } as const;
  if (file.length < headBytes || magic.some((byte, index) => file[index] !== byte)) return damaged;
  const head = new DataView(file.buffer, file.byteOffset, headBytes);
  // What follows the version is that version's affair.
  if (head.getUint32(8, true) > formatVersion) return { ok: false, why: "future-version" };
  const payload = file.subarray(headBytes);
  const savedAtMs = head.getFloat64(16, true);
  const fits = head.getUint32(12, true) === kinds[cache] && head.getUint32(24, true) === payload.length;
  if (!fits || !(savedAtMs >= 0)) return damaged;
  let checksum = crc32(file.subarray(0, 28));
  for (let at = 0; at < payload.length; at += checksumStepBytes) {
    checksum = crc32(payload.subarray(at, at + checksumStepBytes), checksum);
    await pause();
  }
  return checksum === head.getUint32(28, true) ? { ok: true, payload, savedAtMs } : damaged;
}
