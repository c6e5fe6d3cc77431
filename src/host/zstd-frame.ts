// Reads the outside of a zstd frame (RFC 8878, section 3.1): what it says that it holds, and where it ends. Opens nothing.

const magic = 0xfd2fb528;
const magicBytes = 4;

export const startsZstd = (bytes: Uint8Array): boolean =>
  bytes.length >= magicBytes && viewOf(bytes).getUint32(0, true) === magic;

/**
 * How many bytes come out of it. Undefined where it does not say so, or is not exactly one whole frame: a decoder
 * goes on with what follows the first frame, and the word of that says nothing about the rest.
 */
export function zstdContentBytes(bytes: Uint8Array): number | undefined {
  if (!startsZstd(bytes) || bytes.length <= magicBytes) return undefined;
  const view = viewOf(bytes);
  const descriptor = view.getUint8(magicBytes);
  // One segment, so that no window has to be made for it; its size in one, two or four bytes; no dictionary.
  const isOneSegment = (descriptor & 0b0010_0000) !== 0;
  const sizeBytes = [1, 2, 4][descriptor >> 6];
  if (!isOneSegment || sizeBytes === undefined || (descriptor & 0b0000_1011) !== 0) return undefined;
  const sizeAt = magicBytes + 1;
  const blocksAt = sizeAt + sizeBytes;
  const checksumBytes = (descriptor & 0b0000_0100) === 0 ? 0 : 4;
  if (blocksAt > bytes.length || endOfBlocks(view, blocksAt) + checksumBytes !== bytes.length)
    return undefined;
  if (sizeBytes === 1) return view.getUint8(sizeAt);
  return sizeBytes === 2 ? view.getUint16(sizeAt, true) + 256 : view.getUint32(sizeAt, true);
}

/** Behind the last block, by what the blocks say of their own lengths; NaN where they do not come to an end. */
function endOfBlocks(view: DataView, first: number): number {
  const headBytes = 3;
  for (let at = first; at + headBytes <= view.byteLength; ) {
    const head = view.getUint16(at, true) | (view.getUint8(at + 2) << 16);
    const kind = (head >> 1) & 0b11;
    if (kind === 3) return Number.NaN;
    // The second kind is one byte, many times over.
    at += headBytes + (kind === 1 ? 1 : head >> 3);
    if ((head & 1) === 1) return at;
  }
  return Number.NaN;
}

const viewOf = ({ buffer, byteOffset, byteLength }: Uint8Array): DataView =>
  new DataView(buffer, byteOffset, byteLength);
