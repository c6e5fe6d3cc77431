// One open connection: writes one request after the other and hands what comes to the exchange whose answer
// it is. It decides nothing; the pool owns it.

import type { Socket } from "bun";
import type { Carrier, Exchange } from "./exchange.ts";
import type { WireLimits } from "./limits.ts";
import type { ResponseHead } from "./response-head.ts";
import type { ResponseSink } from "./response-parser.ts";
import { ResponseParser } from "./response-parser.ts";

/** The first write carries the head and as much of the body as fits: one system call for most requests. */
const firstWriteBytes = 16 * 1_024;

/** The kernel copies on write, so one place serves every connection. */
const firstWrite = Buffer.allocUnsafe(firstWriteBytes);

const nothing: Uint8Array[] = [];

/** What a connection needs of its socket, which belongs to nobody else. */
export type Line = Pick<Socket, "write" | "pause" | "resume" | "end" | "shutdown" | "terminate">;

export class Connection implements Carrier, ResponseSink {
  /** When its last answer ended. */
  idleSince = 0;

  readonly #socket: Line;
  readonly #overTls: boolean;
  readonly #limits: WireLimits;
  readonly #idle: (connection: Connection) => void;
  #exchange: Exchange | undefined;
  #parser: ResponseParser | undefined;
  #carried = false;
  #paused = false;
  /** What of the request the kernel has not taken yet. */
  #unsent = nothing;

  /** `idle` is told when an answer has been read to its end and the connection can carry another request. */
  constructor(socket: Line, overTls: boolean, limits: WireLimits, idle: (connection: Connection) => void) {
    this.#socket = socket;
    this.#overTls = overTls;
    this.#limits = limits;
    this.#idle = idle;
  }

  carry(exchange: Exchange): void {
    this.#exchange = exchange;
    this.#parser = new ResponseParser(exchange.request.method, this.#limits, this);
    exchange.travelsOn(this, this.#carried);
    this.#carried = true;
    this.#writeFirst(exchange);
  }

  pause(): void {
    if (this.#paused) return;
    this.#paused = true;
    this.#socket.pause();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#socket.resume();
  }

  /** Closes with RST, so that the upstream stops working at once. */
  destroy(): void {
    this.#exchange = undefined;
    this.#socket.terminate();
  }

  /** Closes with FIN, for a connection on which nothing is under way. */
  close(): void {
    this.#exchange = undefined;
    if (!this.#overTls) {
      this.#socket.end();
      return;
    }
    // Here `end` would wait for the other side's farewell, which may never come, and could not be overruled.
    this.#socket.shutdown();
    this.#socket.terminate();
  }

  /** Cancels what it carries, if anything, and closes. */
  /** `fail`: what becomes of the exchange that it carries. */
  giveUp(fail: (exchange: Exchange) => void): void {
    if (this.#exchange !== undefined) fail(this.#exchange);
    this.destroy();
  }

  // From the parser.

  head(head: ResponseHead): void {
    this.#exchange?.answered(head);
  }

  body(chunk: Uint8Array): void {
    this.#exchange?.body(chunk);
  }

  end(reusable: boolean): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    this.#exchange = undefined;
    exchange.end();
    if (this.#unsent.length > 0) {
      // The answer overtook its request, the rest of which nobody waits for.
      this.destroy();
    } else if (reusable) {
      this.resume();
      this.#idle(this);
    } else {
      this.close();
    }
  }

  // From the socket.

  arrived(bytes: Buffer): void {
    const exchange = this.#exchange;
    if (exchange === undefined) {
      // Bytes that nobody asked for: the next answer would be read wrong.
      this.destroy();
      return;
    }
    exchange.arrived();
    const refusal = this.#parser?.push(bytes);
    if (refusal !== undefined) exchange.fail(refusal.refused, refusal.why);
  }

  writable(): void {
    if (this.#unsent.length > 0) this.#writeRest();
  }

  ended(): void {
    // An idle connection must not be taken again between the FIN and the end of its socket.
    if (this.#exchange === undefined) this.close();
    else if (this.#parser?.finish() !== true) this.#exchange.cut("FIN");
  }

  closed(): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    exchange?.cut("RST");
  }

  #writeFirst(exchange: Exchange): void {
    const { head, request } = exchange;
    const parts = request.body ?? nothing;
    if (head.length > firstWriteBytes) {
      this.#unsent = [Buffer.from(head, "latin1"), ...parts];
      this.#writeRest();
      return;
    }
    let filled = firstWrite.write(head, "latin1");
    let fitting = 0;
    for (let part = parts[0]; part !== undefined; part = parts[fitting]) {
      if (filled + part.length > firstWriteBytes) break;
      firstWrite.set(part, filled);
      filled += part.length;
      fitting += 1;
    }
    const written = this.#send(exchange, firstWrite, filled);
    if (written === filled && fitting === parts.length) return;
    this.#unsent = parts.slice(fitting);
    if (written < filled) this.#unsent.unshift(Buffer.from(firstWrite.subarray(written, filled)));
    else this.#writeRest();
  }

  #writeRest(): void {
    for (let part = this.#unsent[0]; part !== undefined; part = this.#unsent[0]) {
      const exchange = this.#exchange;
      if (exchange === undefined) return;
      const written = this.#send(exchange, part, part.length);
      if (written < part.length) {
        this.#unsent[0] = part.subarray(written);
        return;
      }
      this.#unsent.shift();
    }
  }

  /** Bytes that the kernel took, 0 where it is full or the connection is gone. */
  #send(exchange: Exchange, bytes: Uint8Array, length: number): number {
    const written = this.#socket.write(bytes, 0, length);
    if (written > 0) exchange.sent = true;
    else if (written < 0) exchange.cut("RST");
    return Math.max(0, written);
  }
}
