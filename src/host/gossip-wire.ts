// What both ends of a gossip exchange must agree on: where it goes, how large it may be, and how a message becomes bytes.
// What a message means, and whether it has the right shape, is for the room that made it.

import { startsZstd, zstdContentBytes } from "./zstd-frame.ts";

export const gossipPath = "/gossip";
export const sealHeader = "x-tierline-seal";
/** What the body is, it says itself. */
export const bodyType = "application/octet-stream";

/** Every message, either way, has the same subject: there is one thing to ask for. */
export const gossipSubject = `POST ${gossipPath}`;

export const gossipBounds = {
  /** Of a message, packed and unpacked: the news of 500 hosts twice over. */
  bodyBytes: 64 * 1024,
  /** 14 asks a second in the largest fleet, 50 while it boots, remembered for a minute: five times that. 2 MB. */
  nonces: 16_384,
} as const;

const packingRule = {
  /** Shorter ones fit into one packet either way. */
  bytesLeast: 1024,
  /** 500 hosts say the same again and again, so the least effort saves six bytes of seven. */
  level: 1,
} as const;

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * A body is JSON, or one zstd frame with JSON in it; no JSON begins as a frame does. Either is sealed as it travels, so
 * that nothing is unpacked for a stranger. Undefined: too long for anybody to read.
 */
export function encode(message: unknown): Uint8Array | undefined {
  const text = Buffer.from(JSON.stringify(message));
  if (text.length > gossipBounds.bodyBytes) return undefined;
  return text.length < packingRule.bytesLeast ? text : Bun.zstdCompressSync(text, packingRule);
}

/** Undefined: not what `encode` makes. */
export function decode(body: Uint8Array): { readonly message: unknown } | undefined {
  try {
    const text = startsZstd(body) ? unpack(body) : body;
    if (text === undefined) return undefined;
    const message: unknown = JSON.parse(utf8.decode(text));
    return { message };
  } catch (error) {
    if (!(error instanceof SyntaxError || error instanceof TypeError)) throw error;
    return undefined;
  }
}

/** Nothing is unpacked that would be longer than a message may be. */
function unpack(frame: Uint8Array): Uint8Array | undefined {
  const bytes = zstdContentBytes(frame);
  if (bytes === undefined || bytes > gossipBounds.bodyBytes) return undefined;
  try {
    return Bun.zstdDecompressSync(frame);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ERR_ZSTD")) throw error;
    return undefined;
  }
}
