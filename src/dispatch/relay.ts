// An answer that has begun: bytes on their way from the engine to the caller, in the caller's pace.

import type { ErrorCode } from "../base/error-codes.ts";

export interface Relay {
  /** The next bytes; null at a proper end. Throws BrokenAnswer where the engine did not come to one. */
  next(): Promise<Uint8Array | null>;
  /** The caller left, or the router ends. `drain` tells that it was us. */
  cancel(by: "caller" | "drain"): void;
}

/** The answer broke after its first byte had gone out: it must not look finished. */
export class BrokenAnswer extends Error {
  override readonly name = "BrokenAnswer";
  readonly code: ErrorCode;
  /** The engine has told the caller itself, in band; nothing is to be added. */
  readonly told: boolean;

  constructor(code: ErrorCode, why: string, told = false) {
    super(why);
    this.code = code;
    this.told = told;
  }
}
