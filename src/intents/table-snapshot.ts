// The intent table as bytes, to survive a restart: the most recently used entries first, as many as may be. Only the
// codec: whoever writes the file adds a checksum and a version, and knows how long the bytes have lain.
//
//   u32 epoch · u16 archetypes · u16 actions of the largest · u32 entries
//   an archetype: u32 fingerprint · u16 bytes of its name · the name
//   an entry:     f64 situation · u32 age ms · u32 hits · u16 archetype · u16 likeliest · u16 running sum, an action

import type { Instant } from "../base/clock.ts";
import type { Archetype, Archetypes } from "./archetype.ts";
import { actionsMost } from "./archetype.ts";
import type { IntentTable, SavedIntent } from "./intent-table.ts";

const headerBytes = 12;
const archetypeBytes = 6;
const sumsAt = 20;
const u32Most = 2 ** 32 - 1;

const entryBytes = (stride: number): number => sumsAt + 2 * stride;

/** At most `maxBytes`, though never without its header. */
export function encodeTable(table: IntentTable, maxBytes: number, now: Instant): Uint8Array {
  const { epoch, all } = table.archetypes;
  const names = all.map(({ name }) => new TextEncoder().encode(name));
  const stride = Math.max(1, ...all.map(({ actions }) => actions.length));
  const head = headerBytes + names.reduce((sum, name) => sum + archetypeBytes + name.length, 0);
  const room = Math.max(0, Math.floor((maxBytes - head) / entryBytes(stride)));
  const most = Math.min(room, table.stats().entries);
  const bytes = new Uint8Array(head + most * entryBytes(stride));
  const view = new DataView(bytes.buffer);

  view.setUint32(0, epoch, true);
  view.setUint16(4, all.length, true);
  view.setUint16(6, stride, true);
  let at = headerBytes;
  for (const [id, { fingerprint }] of all.entries()) {
    const name = names[id] ?? new Uint8Array();
    view.setUint32(at, fingerprint, true);
    view.setUint16(at + 4, name.length, true);
    bytes.set(name, at + archetypeBytes);
    at += archetypeBytes + name.length;
  }

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

/** Under way, in steps, because the loop has others to serve. Entries put meanwhile are newer, and stay. */
export interface TableRestore {
  /** Takes up to `count` more entries. False: that was the last. */
  step(count: number, now: Instant): boolean;
  /** So far. */
  readonly restored: number;
  /** So far: expired, of archetypes that are gone or mean something else by now, or without room. */
  readonly dropped: number;
}

/** `elapsedMs`: how long ago the bytes were written when this is called, at `now`. */
export function restoreTable(
  table: IntentTable,
  bytes: Uint8Array,
  elapsedMs: number,
  now: Instant,
): TableRestore | "foreign-epoch" | "damaged" {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = readHeader(view, bytes, table.archetypes);
  if (typeof header === "string") return header;
  const { archetypes, stride, entries, begin } = header;

  // The entry that `keep` is shown, again and again. The last ones go in first, so that the first are used last.
  const sums = new Uint16Array(stride);
  let left = Math.min(entries, table.room);
  let restored = 0;
  let dropped = entries - left;

  const restore = (at: number, later: Instant): boolean => {
    const archetype = archetypes[view.getUint16(at + 16, true)];
    if (archetype === undefined) return false;
    for (let action = 0; action < stride; action += 1) {
      sums[action] = view.getUint16(at + sumsAt + 2 * action, true);
    }
    const entry = {
      archetype,
      situation: view.getFloat64(at, true),
      ageMs: view.getUint32(at + 8, true) + elapsedMs + (later - now),
      hits: view.getUint32(at + 12, true),
      best: view.getUint16(at + 18, true),
      sums,
      at: 0,
    };
    return table.keep(entry, later);
  };

  return {
    step(count, later) {
      for (let taken = 0; taken < count && left > 0; taken += 1) {
        left -= 1;
        if (restore(begin + left * entryBytes(stride), later)) restored += 1;
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
  /** As the entries number them; undefined where an entry of it would be worthless today. */
  readonly archetypes: readonly (Archetype | undefined)[];
  readonly stride: number;
  readonly entries: number;
  /** Where they begin. */
  readonly begin: number;
}

function readHeader(
  view: DataView,
  bytes: Uint8Array,
  current: Archetypes,
): Header | "foreign-epoch" | "damaged" {
  if (bytes.length < headerBytes) return "damaged";
  const stride = view.getUint16(6, true);
  const entries = view.getUint32(8, true);
  const archetypes: (Archetype | undefined)[] = [];
  let at = headerBytes;
  for (let left = view.getUint16(4, true); left > 0; left -= 1) {
    if (at + archetypeBytes > bytes.length) return "damaged";
    const fingerprint = view.getUint32(at, true);
    const end = at + archetypeBytes + view.getUint16(at + 4, true);
    const archetype = current.named(new TextDecoder().decode(bytes.subarray(at + archetypeBytes, end)));
    archetypes.push(archetype?.fingerprint === fingerprint ? archetype : undefined);
    at = end;
  }
  if (stride < 1 || stride > actionsMost || at + entries * entryBytes(stride) !== bytes.length)
    return "damaged";
  // Asked last: what is damaged may have any epoch.
  if (view.getUint32(0, true) !== current.epoch) return "foreign-epoch";
  return { archetypes, stride, entries, begin: at };
}
