// Reads the bytes of one answer as they come, however they are split. Pure: it knows no socket and no clock.

import { ChunkedBody } from "./chunked-body.ts";
import type { WireLimits } from "./limits.ts";
import type { Refusal, ResponseHead } from "./response-head.ts";
import { malformed, parseHead, tooLarge } from "./response-head.ts";

/** Who is told. `head` comes once, then `body` any number of times, then `end` once. */
export interface ResponseSink {
  head(head: ResponseHead): void;
  body(chunk: Uint8Array): void;
  /** `reusable`: the answer left the connection in a state in which it can carry another request. */
  end(reusable: boolean): void;
}

type Phase = "head" | "length" | "chunked" | "close" | "ended";

const headEnd = Buffer.from("\r\n\r\n");
const nothing = Buffer.alloc(0);
const lf = 0x0a;
const cr = 0x0d;

export class ResponseParser {
  readonly #method: string;
  readonly #limits: WireLimits;
  readonly #sink: ResponseSink;
  #phase: Phase = "head";
  /** The part of an unfinished header section that has come; room behind it for what follows. */
  #stash: Buffer = nothing;
  #stashed = 0;
  /** Header sections already read: 1xx answers count towards the limit of the one that follows. */
  #headBytes = 0;
  #head: ResponseHead | undefined;
  #left = 0;
  #chunked: ChunkedBody | undefined;

  /** `method` is the request's, since it decides whether the answer has a body. */
  constructor(method: string, limits: WireLimits, sink: ResponseSink) {
    this.#method = method;
    this.#limits = limits;
    this.#sink = sink;
  }

  /** Takes over `bytes`, which body chunks are views of. After a refusal the parser is not to be used. */
  push(bytes: Buffer): Refusal | undefined {
    let position = 0;
    while (position < bytes.length && this.#phase === "head") {
      const next = this.#readHead(bytes, position);
      if (typeof next !== "number") return next;
      position = next;
    }
    if (position === bytes.length) return undefined;
    switch (this.#phase) {
      case "length":
        this.#readLength(bytes, position);
        return undefined;
      case "chunked":
        return this.#readChunked(bytes, position);
      case "close":
        this.#sink.body(position === 0 ? bytes : bytes.subarray(position));
        return undefined;
      default:
        return undefined;
    }
  }

  /** The upstream sent FIN. True where that is the end of the answer; false where it cuts it. */
  finish(): boolean {
    if (this.#phase !== "close") return false;
    this.#end(true);
    return true;
  }

  #readHead(bytes: Buffer, from: number): number | Refusal {
    const length = bytes.length;
    if (this.#stashed === 0) {
      const end = bytes.indexOf(headEnd, from);
      if (end >= 0) return this.#takeHead(bytes, from, end, end + headEnd.length);
    }
    const before = this.#stashed;
    this.#keep(bytes, from);
    const stash = this.#stash.subarray(0, this.#stashed);
    const end = stash.indexOf(headEnd, Math.max(0, before - headEnd.length + 1));
    if (end < 0) return this.#refuseEarly(stash, before) ?? length;
    this.#stashed = 0;
    this.#stash = nothing;
    return this.#takeHead(stash, 0, end, end + headEnd.length - before, bytes);
  }

  /** `next` is where the bytes after the section start in `bytes`, the latest arrival. */
  #takeHead(source: Buffer, start: number, end: number, next: number, bytes = source): number | Refusal {
    this.#headBytes += end - start + headEnd.length;
    if (this.#headBytes > this.#limits.maxHeaderBytes) return tooLarge("header section");
    const head = parseHead(source.toString("latin1", start, end), this.#method, this.#limits);
    if ("refused" in head) return head;
    if (head.status === 101) return malformed("status: nobody asked to switch protocols");
    if (head.status < 200) return next;

    this.#head = head;
    this.#sink.head(head);
    if (head.delimited === "length") {
      this.#phase = "length";
      this.#left = head.length;
      if (head.length === 0) this.#end(next === bytes.length);
    } else {
      this.#phase = head.delimited;
      if (head.delimited === "chunked") this.#chunked = new ChunkedBody(this.#limits);
    }
    return next;
  }

  #readLength(bytes: Buffer, from: number): void {
    const available = bytes.length - from;
    const take = Math.min(available, this.#left);
    this.#left -= take;
    this.#sink.body(take === bytes.length ? bytes : bytes.subarray(from, from + take));
    if (this.#left === 0) this.#end(take === available);
  }

  #readChunked(bytes: Buffer, from: number): Refusal | undefined {
    const chunked = this.#chunked;
    if (chunked === undefined) return undefined;
    const next = chunked.push(bytes, from);
    if (chunked.body !== undefined) this.#sink.body(chunked.body);
    if (typeof next !== "number") return next;
    if (chunked.ended) this.#end(next === bytes.length);
    return undefined;
  }

  /** Bytes beyond the end belong to no request of ours: such a connection cannot be trusted with another. */
  #end(nothingBeyond: boolean): void {
    this.#phase = "ended";
    this.#sink.end(nothingBeyond && this.#head?.keepAlive === true);
  }

  #keep(bytes: Buffer, from: number): void {
    const needed = this.#stashed + bytes.length - from;
    if (needed > this.#stash.length) {
      const larger = Buffer.allocUnsafe(Math.max(1_024, needed, 2 * this.#stash.length));
      this.#stash.copy(larger, 0, 0, this.#stashed);
      this.#stash = larger;
    }
    bytes.copy(this.#stash, this.#stashed, from);
    this.#stashed = needed;
  }

  /** What can never become a good header section is refused now, not when the caller's time has run out. */
  #refuseEarly(stash: Buffer, before: number): Refusal | undefined {
    if (this.#headBytes + stash.length > this.#limits.maxHeaderBytes) return tooLarge("header section");
    const start = "HTTP/1.";
    if (!start.startsWith(stash.toString("latin1", 0, start.length))) {
      return malformed("status line");
    }
    const firstLineEnd = stash.indexOf(lf);
    const firstLineBytes = firstLineEnd < 0 ? stash.length : firstLineEnd;
    if (firstLineBytes > this.#limits.maxStatusLineBytes + 1) return tooLarge("status line");
    for (let at = stash.indexOf(lf, before); at >= 0; at = stash.indexOf(lf, at + 1)) {
      if (stash[at - 1] !== cr) return malformed("line end");
    }
    return undefined;
  }
}
