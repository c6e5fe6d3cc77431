// The intent table as bytes, to survive a restart: the most recently used entries first, as many as may be. Only the
// codec: whoever writes the file adds a checksum and a version, and knows how long the bytes have lain.
//
//   u32 epoch · u16 archetypes · u16 actions of the largest · u32 entries
//   an archetype: u32 fingerprint
//   an entry:     f64 situation · u32 age ms · u32 hits · u16 archetype · u16 likeliest · u16 running sum, an action

import type { CacheRestore, RestoreRefusal } from "../base/cache-restore.ts";
import type { Instant } from "../base/clock.ts";
import type { Archetype, Archetypes } from "./archetype.ts";
import { actionsMost, heirOf } from "./archetype.ts";
import type { IntentTable, SavedIntent } from "./intent-table.ts";
import { strideOf } from "./table-limits.ts";

const headerBytes = 12;
const archetypeBytes = 4;
const sumsAt = 20;
const u32Most = 2 ** 32 - 1;

const entryBytes = (stride: number): number => sumsAt + 2 * stride;

/** At most `maxBytes`, though never without its header. */
export function encodeTable(table: IntentTable, maxBytes: number, now: Instant): Uint8Array {
  const { epoch, all } = table.archetypes;
  const stride = strideOf(table.archetypes);
  const head = headerBytes + all.length * archetypeBytes;
  const room = Math.max(0, Math.floor((maxBytes - head) / entryBytes(stride)));
  const most = Math.min(room, table.stats().entries);
  const bytes = new Uint8Array(head + most * entryBytes(stride));
  const view = new DataView(bytes.buffer);

  view.setUint32(0, epoch, true);
  view.setUint16(4, all.length, true);
  view.setUint16(6, stride, true);
  for (const { id, fingerprint } of all) {
    view.setUint32(headerBytes + id * archetypeBytes, fingerprint, true);
  }

  let at = head;
  let entries = 0;
  if (most > 0) {
    table.each(now, (entry) => {
      writeEntry(view, at, entry);
      at += entryBytes(stride);
      entries += 1;
      return entries < most;
    });
  }
  view.setUint32(8, entries, true);
  // Expired ones were left out.
  return bytes.subarray(0, at);
}

function writeEntry(view: DataView, at: number, entry: SavedIntent): void {
  view.setFloat64(at, entry.situation, true);
  // Up: an entry never comes back younger than it went.
  view.setUint32(at + 8, Math.min(Math.ceil(entry.ageMs), u32Most), true);
  view.setUint32(at + 12, entry.hits, true);
  view.setUint16(at + 16, entry.archetype.id, true);
  view.setUint16(at + 18, entry.best, true);
  for (let action = 0; action < entry.archetype.actions.length; action += 1) {
    view.setUint16(at + sumsAt + 2 * action, entry.sums[entry.at + action] ?? 0, true);
  }
}

/** `elapsedMs`: how long ago the bytes were written when this is called. Entries put meanwhile are newer, and stay. */
export function restoreTable(
  table: IntentTable,
  bytes: Uint8Array,
  elapsedMs: number,
  now: () => Instant,
): CacheRestore | RestoreRefusal {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = readHeader(view, bytes, table.archetypes);
  if (typeof header === "string") return header;
  const { stride, entries, begin } = header;
  // A reload may come between two steps: what has not changed is then another object, and still the same.
  let set = table.archetypes;
  let { archetypes } = header;
  const archetypeOf = (id: number): Archetype | undefined => {
    if (set !== table.archetypes) {
      set = table.archetypes;
      archetypes = archetypes.map((old) => old && heirOf(old, set));
    }
    return archetypes[id];
  };
  const writtenAt = now() - elapsedMs;

  // The entry that `restore` is shown, again and again. The last ones go in first, so that the first are used last.
  const sums = new Uint16Array(stride);
  let left = Math.min(entries, table.room);
  let restored = 0;
  let dropped = entries - left;

  const restore = (at: number): boolean => {
    const archetype = archetypeOf(view.getUint16(at + 16, true));
    if (archetype === undefined) return false;
    for (let action = 0; action < stride; action += 1) {
      sums[action] = view.getUint16(at + sumsAt + 2 * action, true);
    }
    const later = now();
    const entry = {
      archetype,
      situation: view.getFloat64(at, true),
      ageMs: view.getUint32(at + 8, true) + later - writtenAt,
      hits: view.getUint32(at + 12, true),
      best: view.getUint16(at + 18, true),
      sums,
      at: 0,
    };
    return table.restore(entry, later);
  };

  return {
    step(count) {
      for (let taken = 0; taken < count && left > 0; taken += 1) {
        left -= 1;
        if (restore(begin + left * entryBytes(stride))) restored += 1;
        else dropped += 1;
      }
      return left > 0;
    },
    get restored() {
      return restored;
    },
    get dropped() {
      return dropped;
    },
  };
}

interface Header {
  /** By id; undefined where an entry of it would be worthless today. */
  readonly archetypes: readonly (Archetype | undefined)[];
  readonly stride: number;
  readonly entries: number;
  /** Where they begin. */
  readonly begin: number;
}

function readHeader(view: DataView, bytes: Uint8Array, current: Archetypes): Header | RestoreRefusal {
  if (bytes.length < headerBytes) return "damaged";
  const stride = view.getUint16(6, true);
  const entries = view.getUint32(8, true);
  const begin = headerBytes + view.getUint16(4, true) * archetypeBytes;
  if (stride < 1 || stride > actionsMost || begin + entries * entryBytes(stride) !== bytes.length)
    return "damaged";
  // Asked last: what is damaged may have any epoch. With the same one the archetypes have the same names and ids.
  if (view.getUint32(0, true) !== current.epoch) return "foreign-epoch";
  const archetypes = current.all.map((archetype) => {
    const at = headerBytes + archetype.id * archetypeBytes;
    return at < begin && view.getUint32(at, true) === archetype.fingerprint ? archetype : undefined;
  });
  return { archetypes, stride, entries, begin };
}
