// Bytes with a Buffer's searches and texts: the same memory, never a copy.

/** What comes from a socket is one already. */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
