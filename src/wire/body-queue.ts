// Between the socket, which brings body chunks, and the reader, who takes them: in order, one reader.

import type { WireError } from "./wire-error.ts";

export interface WireBody {
  /**
   * A chunk at once where one is buffered, null at the clean end, else a promise of one of them. Throws or
   * rejects with a WireError once what came before the failure has been read. One read at a time. A chunk is
   * the reader's own, and a view: to keep a piece of it for long, copy that piece.
   */
  next(): Uint8Array | null | Promise<Uint8Array | null>;
}

export class BodyQueue implements WireBody {
  /** Bytes that came and were not taken. */
  unreadBytes = 0;

  readonly #taken: () => void;
  readonly #chunks: Uint8Array[] = [];
  #ended = false;
  #error: WireError | undefined;
  #reader: PromiseWithResolvers<Uint8Array | null> | undefined;

  /** `taken` is told whenever the reader has taken a buffered chunk. */
  constructor(taken: () => void) {
    this.#taken = taken;
  }

  next(): Uint8Array | null | Promise<Uint8Array | null> {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.unreadBytes -= chunk.length;
      this.#taken();
      return chunk;
    }
    if (this.#error !== undefined) throw this.#error;
    if (this.#ended) return null;
    if (this.#reader !== undefined) throw new TypeError("a body has one reader, and it is still waiting");
    this.#reader = Promise.withResolvers();
    return this.#reader.promise;
  }

  push(chunk: Uint8Array): void {
    const reader = this.#reader;
    if (reader !== undefined) {
      this.#reader = undefined;
      reader.resolve(chunk);
      return;
    }
    this.#chunks.push(chunk);
    this.unreadBytes += chunk.length;
  }

  end(): void {
    this.#ended = true;
    this.#reader?.resolve(null);
    this.#reader = undefined;
  }

  /** What is buffered is still delivered, then the error. */
  fail(error: WireError): void {
    this.#error = error;
    const reader = this.#reader;
    if (reader === undefined) return;
    this.#reader = undefined;
    // Whoever cancels has often stopped looking; an unseen rejection would end the process.
    reader.promise.catch(() => {});
    reader.reject(error);
  }

  /** Nothing more is delivered but the error. */
  abandon(error: WireError): void {
    this.#chunks.length = 0;
    this.unreadBytes = 0;
    this.fail(error);
  }
}
