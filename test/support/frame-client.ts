// The client's half of the binary frame, written from the documentation and not from the code that it tests.

export interface ClientAsk {
  readonly situation: number | bigint;
  readonly npc: number;
  readonly archetype: number;
  readonly deadlineMs?: number;
  readonly flags?: number;
}

export interface ClientAnswer {
  readonly npc: number;
  readonly action: number;
  readonly source: number;
  readonly confidence: number;
  readonly ageMs: number;
  readonly ttlMs: number;
}

export interface ClientHeader {
  readonly magic: string;
  readonly type: number;
  readonly flags: number;
  readonly count: number;
  readonly requestId: number;
  readonly epoch: number;
}

export function encodeAsk(requestId: number, epoch: number, asks: readonly ClientAsk[]): Buffer {
  const frame = Buffer.alloc(16 + 16 * asks.length);
  frame.write("TLN1", "latin1");
  frame.writeUInt8(1, 4);
  frame.writeUInt16LE(asks.length, 6);
  frame.writeUInt32LE(requestId, 8);
  frame.writeUInt32LE(epoch, 12);
  for (const [index, ask] of asks.entries()) {
    const at = 16 + 16 * index;
    frame.writeBigUInt64LE(BigInt(ask.situation), at);
    frame.writeUInt32LE(ask.npc, at + 8);
    frame.writeUInt16LE(ask.archetype, at + 12);
    frame.writeUInt8(ask.deadlineMs ?? 0, at + 14);
    frame.writeUInt8(ask.flags ?? 0, at + 15);
  }
  return frame;
}

export function decodeHeader(bytes: Uint8Array): ClientHeader {
  const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    magic: frame.toString("latin1", 0, 4),
    type: frame.readUInt8(4),
    flags: frame.readUInt8(5),
    count: frame.readUInt16LE(6),
    requestId: frame.readUInt32LE(8),
    epoch: frame.readUInt32LE(12),
  };
}

export function decodeAnswers(bytes: Uint8Array): readonly ClientAnswer[] {
  const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: decodeHeader(bytes).count }, (_, index) => {
    const at = 16 + 16 * index;
    return {
      npc: frame.readUInt32LE(at),
      action: frame.readUInt16LE(at + 4),
      source: frame.readUInt8(at + 6),
      confidence: frame.readUInt8(at + 7) / 255,
      ageMs: frame.readUInt32LE(at + 8),
      ttlMs: frame.readUInt32LE(at + 12),
    };
  });
}
