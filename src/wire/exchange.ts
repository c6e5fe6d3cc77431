// One request and its answer: what has happened to it so far, and who is told how it goes on.

import type { Clock } from "../base/clock.ts";
import type { WireBody } from "./body-queue.ts";
import { BodyQueue } from "./body-queue.ts";
import type { WireLimits } from "./limits.ts";
import { requestHead } from "./request-head.ts";
import type { Delimited, ResponseHead, WireHeaders } from "./response-head.ts";
import type { WireErrorCode } from "./wire-error.ts";
import { WireError } from "./wire-error.ts";

export interface WireRequest {
  readonly method: string;
  /** Origin-form: path and query. */
  readonly path: string;
  /** `host`, `content-length` and everything about the connection are written by the client itself. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Sent one after the other, so that a splice costs no copy. Not to be changed until the answer ends. */
  readonly body?: readonly Uint8Array[];
  /** From the call until the header section of the final answer is complete. Absent: the caller owns the time. */
  readonly headerMs?: number;
  /** Never on a connection that has carried a request before. */
  readonly fresh?: boolean;
  /** Called whenever bytes arrive from the upstream. */
  readonly heard?: () => void;
}

export interface WireResponse {
  readonly status: number;
  readonly headers: WireHeaders;
  readonly body: WireBody;
  /** `close`: the end of the body cannot be told from a cut; look for the end in the content. */
  readonly delimited: Delimited;
  /** The connection had carried an earlier request. */
  readonly reused: boolean;
}

export interface WireExchange {
  /** Rejects with a WireError. */
  readonly response: Promise<WireResponse>;
  /**
   * Closes the connection at once, at any moment, any number of times; after the end it only drops what was
   * not read. Whoever waits for the answer or its body gets a WireError with the code `cancelled`.
   */
  cancel(): void;
}

/** What an exchange asks of the connection that carries it. */
export interface Carrier {
  pause(): void;
  resume(): void;
  /** Closes at once. */
  destroy(): void;
}

export class Exchange implements WireExchange {
  readonly response: Promise<WireResponse>;
  readonly request: WireRequest;
  readonly head: string;
  sent = false;
  heard = false;
  reused = false;

  readonly #limits: WireLimits;
  readonly #settle: PromiseWithResolvers<WireResponse>;
  #carrier: Carrier | undefined;
  /** Takes the exchange out of the line of those that wait for a connection. */
  #leave: (() => void) | undefined;
  #stopTimer: (() => void) | undefined;
  #body: BodyQueue | undefined;
  #over = false;

  constructor(request: WireRequest, host: string, limits: WireLimits, clock: Clock) {
    this.request = request;
    this.head = requestHead(request, host, bodyBytes(request));
    this.#limits = limits;
    this.#settle = Promise.withResolvers();
    this.response = this.#settle.promise;
    if (request.headerMs !== undefined) {
      this.#stopTimer = clock.after(request.headerMs, () => {
        this.fail("timeout", `no header section within ${request.headerMs} ms`);
      });
    }
  }

  waits(leave: () => void): void {
    this.#leave = leave;
  }

  /** From here on the connection brings what comes, until `end` or `fail`. */
  travelsOn(carrier: Carrier, reused: boolean): void {
    this.#leave = undefined;
    this.#carrier = carrier;
    this.reused = reused;
  }

  arrived(): void {
    this.heard = true;
    this.request.heard?.();
  }

  answered(head: ResponseHead): void {
    this.#stopTimer?.();
    this.#stopTimer = undefined;
    const body = new BodyQueue(() => this.#taken());
    this.#body = body;
    this.#settle.resolve({
      status: head.status,
      headers: head.headers,
      body,
      delimited: head.delimited,
      reused: this.reused,
    });
  }

  body(chunk: Uint8Array): void {
    const body = this.#body;
    if (body === undefined) return;
    body.push(chunk);
    if (body.unreadBytes > this.#limits.bufferBytes) this.#carrier?.pause();
  }

  end(): void {
    this.#over = true;
    this.#carrier = undefined;
    this.#body?.end();
  }

  /** The upstream or the connection failed: what was buffered is still read, then the error. */
  fail(code: WireErrorCode, why: string): void {
    if (this.#over) return;
    const error = this.#close(code, why);
    if (this.#body !== undefined) this.#body.fail(error);
    else this.#reject(error);
  }

  /** The connection ended where the answer had not. */
  cut(by: "FIN" | "RST"): void {
    if (this.#body !== undefined) this.fail("truncated", `${by} before the end of the body`);
    else this.fail(by === "FIN" ? "closed" : "reset", `${by} before the end of the header section`);
  }

  cancel(): void {
    if (this.#over) {
      // Ended, perhaps not read to the end: the rest is of no use to anybody.
      this.#body?.abandon(new WireError("cancelled", "given up by us", this));
      return;
    }
    const error = this.#close("cancelled", "given up by us");
    if (this.#body !== undefined) this.#body.abandon(error);
    else this.#reject(error);
  }

  #close(code: WireErrorCode, why: string): WireError {
    this.#over = true;
    this.#stopTimer?.();
    this.#leave?.();
    const carrier = this.#carrier;
    this.#carrier = undefined;
    carrier?.destroy();
    return new WireError(code, why, this);
  }

  #reject(error: WireError): void {
    // Whoever cancels has often stopped looking; an unseen rejection would end the process.
    this.response.catch(() => {});
    this.#settle.reject(error);
  }

  #taken(): void {
    const unread = this.#body?.unreadBytes ?? 0;
    if (unread <= this.#limits.bufferBytes / 2) this.#carrier?.resume();
  }
}

/** A POST without a body says so; a GET without one says nothing. */
function bodyBytes(request: WireRequest): number | undefined {
  if (request.body === undefined) {
    return request.method === "GET" || request.method === "HEAD" ? undefined : 0;
  }
  let bytes = 0;
  for (const part of request.body) bytes += part.length;
  return bytes;
}
