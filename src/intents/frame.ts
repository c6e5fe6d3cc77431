// The binary frame, little-endian: asks are read in place and answers written in place, nothing allocated for an item.
// It knows bytes and archetypes; who answers, and what becomes of the connection, is for those above.
// Byte by byte and without a DataView: making two of them takes longer than all the rest of a frame with one item.
//
//   header 16 B  u32 magic 'TLN1' · u8 type · u8 flags · u16 count · u32 request id · u32 epoch
//   ask    16 B  u64 situation · u32 npc · u16 archetype id · u8 deadline ms · u8 flags
//   answer 16 B  u32 npc · u16 action · u8 source · u8 confidence/255 · u32 age ms · u32 ttl ms

import type { Archetype, Archetypes } from "./archetype.ts";
import type { IntentAnswer } from "./intent-answer.ts";
import { sources } from "./intent-answer.ts";

/** At most so many items in a frame, and in a JSON batch: what a game asks in a tick, in 16 kB. */
export const itemsMost = 1024;

const headerBytes = 16;
const itemBytes = 16;
/** No ask is longer; whoever reads from a socket needs to take no more. */
export const frameBytesMost = headerBytes + itemsMost * itemBytes;

/** The bytes T, L, N, 1. */
const magic = 0x31_4e_4c_54;
const types = { ask: 1, answer: 2, error: 3 } as const;
const askFlags = { tableOnly: 1, noFill: 2 } as const;
const refusedSource = 255;
const u32Most = 2 ** 32 - 1;

/**
 * Why a frame gets an error frame instead of answers: the error's `flags`, the HTTP `status`, and the `close` code that
 * ends a WebSocket; undefined: it goes on.
 */
export const frameFaults = {
  "wrong-epoch": { flags: 1, status: 409, close: undefined },
  malformed: { flags: 2, status: 400, close: 1002 },
  "too-large": { flags: 3, status: 413, close: 1009 },
  /** Of the key, for whole frames: its limit is a matter of the door. */
  "rate-limited": { flags: 4, status: 429, close: undefined },
} as const satisfies Record<string, { flags: number; status: number; close: number | undefined }>;
export type FrameFault = keyof typeof frameFaults;

/** An ask frame whose header is right and whose length is what the header says. */
export interface AskFrame {
  readonly requestId: number;
  readonly count: number;
  /** In force when it was read: what its answers mean, whatever is in force when they are sent. */
  readonly epoch: number;
  readonly bytes: Uint8Array;
}

export interface FrameRefusal {
  readonly fault: FrameFault;
  /** 0 where the header cannot be read. */
  readonly requestId: number;
}

/** One ask, in a record that the reader hands in. */
export interface FrameAsk {
  /** Undefined: refused, because there is no such archetype or it has no such situation. */
  archetype: Archetype | undefined;
  situation: number;
  npc: number;
  /** 0: as configured. */
  deadlineMs: number;
  /** Table or default, and nothing that takes time. */
  tableOnly: boolean;
  /** With `tableOnly`: leave the engine alone also behind. */
  noFill: boolean;
}

export const newAsk = (): FrameAsk => ({
  archetype: undefined,
  situation: 0,
  npc: 0,
  deadlineMs: 0,
  tableOnly: false,
  noFill: false,
});

/** The bytes are looked at now and by each `readAsk`, so they must stay as they are until the last one is read. */
export function readAskFrame(bytes: Uint8Array, epoch: number): AskFrame | FrameRefusal {
  const begins = bytes.byteLength >= headerBytes && u32At(bytes, 0) === magic;
  const requestId = requestIdIn(bytes);
  if (bytes.byteLength > frameBytesMost) return { fault: "too-large", requestId };
  if (!begins || bytes[4] !== types.ask) return { fault: "malformed", requestId };
  const count = u16At(bytes, 6);
  if (count > itemsMost) return { fault: "too-large", requestId };
  if (bytes.byteLength !== headerBytes + count * itemBytes) return { fault: "malformed", requestId };
  if (u32At(bytes, 12) !== epoch) return { fault: "wrong-epoch", requestId };
  return { requestId, count, epoch, bytes };
}

/** For who answers a frame without reading it; 0 where the header cannot be read. */
export const requestIdIn = (bytes: Uint8Array): number =>
  bytes.byteLength >= headerBytes && u32At(bytes, 0) === magic ? u32At(bytes, 8) : 0;

/** The ask at `index`, below the frame's `count`, of a frame of these archetypes' epoch. */
export function readAsk({ bytes }: AskFrame, index: number, { all }: Archetypes, into: FrameAsk): void {
  const at = headerBytes + index * itemBytes;
  // A u64 from 2^53 on may be rounded here, but never to below 2^53, and no archetype has that many situations.
  const situation = u32At(bytes, at + 4) * 2 ** 32 + u32At(bytes, at);
  const archetype = all[u16At(bytes, at + 12)];
  const known = archetype !== undefined && situation < archetype.situations;
  const flags = bytes[at + 15] ?? 0;
  into.archetype = known ? archetype : undefined;
  into.situation = known ? situation : 0;
  into.npc = u32At(bytes, at + 8);
  into.deadlineMs = bytes[at + 14] ?? 0;
  into.tableOnly = (flags & askFlags.tableOnly) !== 0;
  into.noFill = (flags & askFlags.noFill) !== 0;
}

/** Its answer frame, with room for one answer to each of its items: what is sent, once every index has its answer. */
export const newAnswerFrame = ({ count, requestId, epoch }: AskFrame): Uint8Array<ArrayBuffer> =>
  newFrame(types.answer, 0, count, requestId, epoch);

export function writeAnswer(frame: Uint8Array, index: number, npc: number, answer: IntentAnswer): void {
  const at = headerBytes + index * itemBytes;
  writeU32(frame, at, npc);
  writeU16(frame, at + 4, answer.action);
  frame[at + 6] = sources.indexOf(answer.source);
  frame[at + 7] = Math.round(answer.confidence * 255);
  writeU32(frame, at + 8, answer.ageMs);
  writeU32(frame, at + 12, answer.ttlMs);
}

/** Where `readAsk` found no archetype: there is nothing valid to say. */
export function writeRefused(frame: Uint8Array, index: number, npc: number): void {
  const at = headerBytes + index * itemBytes;
  writeU32(frame, at, npc);
  frame.fill(0, at + 4, at + itemBytes);
  frame[at + 6] = refusedSource;
}

/** The answer to a frame that cannot be answered; it tells the epoch in force, so that the client can catch up. */
export const errorFrame = ({ fault, requestId }: FrameRefusal, epoch: number): Uint8Array<ArrayBuffer> =>
  newFrame(types.error, frameFaults[fault].flags, 0, requestId, epoch);

function newFrame(type: number, flags: number, count: number, requestId: number, epoch: number) {
  const frame = new Uint8Array(headerBytes + count * itemBytes);
  writeU32(frame, 0, magic);
  frame[4] = type;
  frame[5] = flags;
  writeU16(frame, 6, count);
  writeU32(frame, 8, requestId);
  writeU32(frame, 12, epoch);
  return frame;
}

/** Beyond the end there are zeros. */
const u16At = (bytes: Uint8Array, at: number): number => (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8);

const u32At = (bytes: Uint8Array, at: number): number =>
  (u16At(bytes, at) | (u16At(bytes, at + 2) << 16)) >>> 0;

function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

/** The whole part of a number that is not negative, cut to what fits. */
function writeU32(bytes: Uint8Array, at: number, value: number): void {
  const word = Math.min(value, u32Most) | 0;
  writeU16(bytes, at, word);
  writeU16(bytes, at + 2, word >>> 16);
}
