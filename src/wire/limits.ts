// Every bound of the HTTP client, by name. Times are in milliseconds, sizes in bytes.

export interface WireLimits {
  /** From wanting a connection to having one, TLS handshake included. */
  readonly connectMs: number;
  /** A kept connection unused for longer is closed. Below the 5 s after which uvicorn closes its side. */
  readonly idleMs: number;
  /** Open connections and requests that wait for one, together. */
  readonly maxConnections: number;
  /** Connects in the air; given up ones count until the kernel is done with them, for none can be cancelled. */
  readonly maxPendingConnects: number;
  /** The first line of an answer. */
  readonly maxStatusLineBytes: number;
  /** The whole header section of an answer, its first line and any 1xx before it included. */
  readonly maxHeaderBytes: number;
  readonly maxHeaders: number;
  /** Of one chunk. */
  readonly maxChunkExtensionBytes: number;
  readonly maxTrailerBytes: number;
  /**
   * Unread body beyond this stops reading from the socket. One read more may come on top of it, and one
   * read is at most 512 KiB.
   */
  readonly bufferBytes: number;
}

export const defaultWireLimits: WireLimits = {
  connectMs: 250,
  idleMs: 4_000,
  maxConnections: 1_024,
  maxPendingConnects: 64,
  maxStatusLineBytes: 1_024,
  maxHeaderBytes: 32 * 1_024,
  maxHeaders: 128,
  maxChunkExtensionBytes: 256,
  maxTrailerBytes: 8 * 1_024,
  bufferBytes: 8 * 1_024,
};
