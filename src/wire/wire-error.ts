// How an exchange with an upstream fails: a closed list of codes, and what had happened by then.

export type WireErrorCode =
  /** Nobody listens there. */
  | "refused"
  /** No connection within the budget, no route, or no address for the name. */
  | "unreachable"
  /** The handshake or the certificate failed. */
  | "tls"
  /** RST before the header section was complete. */
  | "reset"
  /** FIN before the header section was complete. */
  | "closed"
  /** FIN or RST after the header section and before the end of the body. */
  | "truncated"
  /** The header section was not complete within `headerMs`. */
  | "timeout"
  /** The answer breaks HTTP/1.1, or could be read in two ways. */
  | "malformed"
  /** A part of the answer exceeds its limit. */
  | "too-large"
  /** Our side gave up. */
  | "cancelled"
  /** The client's bound is reached; the upstream was not asked. */
  | "too-many-connections";

/** What decides whether a request may be sent again. */
export interface WireProgress {
  /** At least one byte of the request was handed to the kernel. */
  readonly sent: boolean;
  /** At least one byte of an answer arrived. */
  readonly heard: boolean;
  /** The connection had carried an earlier request. */
  readonly reused: boolean;
}

export class WireError extends Error {
  override readonly name = "WireError";
  readonly code: WireErrorCode;
  readonly sent: boolean;
  readonly heard: boolean;
  readonly reused: boolean;

  constructor(code: WireErrorCode, why: string, progress: WireProgress) {
    super(`${code}: ${why}`);
    this.code = code;
    this.sent = progress.sent;
    this.heard = progress.heard;
    this.reused = progress.reused;
  }
}
