// The binary frames as a client writes and reads them: little-endian, a header of 16 bytes and items of 16.

/** The bytes `TLN1`. */
const magic = 0x314e4c54;
const itemBytes = 16;
const asking = 1;
const answering = 2;

/** In the order of the frame's codes; 255 is "refused". */
const sources = ["fresh", "stale", "engine", "peer", "default"] as const;
export type Source = (typeof sources)[number] | "refused";

export interface Ask {
  readonly situation: number;
  readonly npc: number;
  readonly archetype: number;
  /** 1 to 255; 0: as the router is configured. */
  readonly deadlineMs?: number;
}

export interface Answer {
  readonly npc: number;
  /** Index into the archetype's actions. */
  readonly action: number;
  readonly source: Source;
  readonly confidence: number;
  readonly ageMs: number;
  readonly ttlMs: number;
}

export function encodeAsks(requestId: number, epoch: number, asks: readonly Ask[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(itemBytes * (asks.length + 1));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, magic, true);
  view.setUint8(4, asking);
  view.setUint16(6, asks.length, true);
  view.setUint32(8, requestId, true);
  view.setUint32(12, epoch, true);
  for (const [index, ask] of asks.entries()) {
    const at = itemBytes * (index + 1);
    view.setBigUint64(at, BigInt(ask.situation), true);
    view.setUint32(at + 8, ask.npc, true);
    view.setUint16(at + 12, ask.archetype, true);
    view.setUint8(at + 14, ask.deadlineMs ?? 0);
  }
  return bytes;
}

export type Reply =
  | { readonly kind: "answers"; readonly requestId: number; readonly answers: readonly Answer[] }
  /** `epoch`: the router's. `reason`: 1 wrong epoch, 2 malformed, 3 too large. */
  | { readonly kind: "error"; readonly requestId: number; readonly epoch: number; readonly reason: number };

export function decodeReply(bytes: Uint8Array): Reply {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.byteLength < itemBytes || view.getUint32(0, true) !== magic)
    throw new Error("this is no frame of tierline");
  const requestId = view.getUint32(8, true);
  if (view.getUint8(4) !== answering) {
    return { kind: "error", requestId, epoch: view.getUint32(12, true), reason: view.getUint8(5) };
  }
  const answers = Array.from({ length: view.getUint16(6, true) }, (_, index): Answer => {
    const at = itemBytes * (index + 1);
    return {
      npc: view.getUint32(at, true),
      action: view.getUint16(at + 4, true),
      source: sources[view.getUint8(at + 6)] ?? "refused",
      confidence: view.getUint8(at + 7) / 255,
      ageMs: view.getUint32(at + 8, true),
      ttlMs: view.getUint32(at + 12, true),
    };
  });
  return { kind: "answers", requestId, answers };
}
