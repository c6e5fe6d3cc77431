// A TCP server without manners: every connection follows a script that reads and writes bytes as it likes,
// in the pieces it likes, and may hang, half-close or reset.

import type { Socket, TLSOptions } from "bun";

export interface RawRequest {
  /** `POST /v1/chat/completions HTTP/1.1` */
  readonly line: string;
  /** The header section, the request line included. */
  readonly head: string;
  readonly body: Buffer;
}

export interface RawConnection {
  /** 0 for the first connection that the server accepted. */
  readonly index: number;
  /** All bytes that came so far. */
  readonly received: Buffer;
  /** The next whole request (delimited by content-length), or undefined once the client has closed. */
  request(): Promise<RawRequest | undefined>;
  /** Resolves when this many bytes have come in all, or the client has closed. */
  receive(bytes: number): Promise<void>;
  /** Strings are latin1, so that one character is one byte. */
  write(bytes: string | Uint8Array): void;
  /** Each piece in a packet of its own; resolves when the last has been written. */
  writePieces(pieces: readonly (string | Uint8Array)[]): Promise<void>;
  /** Stops or goes on reading what the client sends. */
  pause(): void;
  resume(): void;
  /** FIN; what the client sends is still read. */
  halfClose(): void;
  /** FIN after everything written, and no more reading. */
  end(): void;
  /** RST, unwritten bytes are lost. */
  reset(): void;
  /** How the client ended it, or `here` where the script did. */
  readonly closed: Promise<"fin" | "rst" | "here">;
}

export interface RawServer {
  readonly port: number;
  /** Every connection that was ever accepted, in order. */
  readonly connections: readonly RawConnection[];
  /** Connections open now. */
  openCount(): number;
  stop(): void;
}

export type Script = (connection: RawConnection) => void | Promise<void>;

/** A script that throws ends its connection and makes `stop` throw, so that no test passes over it. */
export function startRawServer(script: Script, tls?: TLSOptions): RawServer {
  const lines: Line[] = [];
  const mishaps: unknown[] = [];
  const listener = Bun.listen<Line | undefined>({
    hostname: "127.0.0.1",
    port: 0,
    allowHalfOpen: true,
    data: undefined,
    ...(tls === undefined ? {} : { tls }),
    socket: {
      open(socket) {
        const line = new Line(socket, lines.length);
        socket.data = line;
        lines.push(line);
        Promise.resolve(script(line)).catch((mishap: unknown) => {
          mishaps.push(mishap);
          socket.terminate();
        });
      },
      data: (socket, bytes) => socket.data?.arrived(bytes),
      drain: (socket) => socket.data?.flush(),
      end: (socket) => socket.data?.finished(),
      close: (socket, error) => socket.data?.gone(error !== undefined),
      error(socket) {
        socket.terminate();
      },
    },
  });
  return {
    port: listener.port,
    connections: lines,
    openCount: () => lines.filter((line) => !line.isGone).length,
    stop() {
      listener.stop(true);
      if (mishaps.length > 0) throw mishaps[0];
    },
  };
}

class Line implements RawConnection {
  readonly index: number;
  readonly closed: Promise<"fin" | "rst" | "here">;
  received = Buffer.alloc(0);
  isGone = false;

  readonly #socket: Socket<Line | undefined>;
  readonly #close = Promise.withResolvers<"fin" | "rst" | "here">();
  #endedByClient = false;
  #endedHere = false;
  #endWhenFlushed = false;
  #consumed = 0;
  #unwritten: Buffer[] = [];
  #changed = Promise.withResolvers<void>();

  constructor(socket: Socket<Line | undefined>, index: number) {
    this.#socket = socket;
    this.index = index;
    this.closed = this.#close.promise;
    socket.setNoDelay(true);
  }

  async request(): Promise<RawRequest | undefined> {
    for (;;) {
      const found = requestIn(this.received.subarray(this.#consumed));
      if (found !== undefined) {
        this.#consumed += found.bytes;
        return found.request;
      }
      if (this.#endedByClient || this.isGone) return undefined;
      await this.#changed.promise;
    }
  }

  async receive(bytes: number): Promise<void> {
    while (this.received.length < bytes && !this.#endedByClient && !this.isGone) await this.#changed.promise;
  }

  write(bytes: string | Uint8Array): void {
    this.#unwritten.push(typeof bytes === "string" ? Buffer.from(bytes, "latin1") : Buffer.from(bytes));
    this.flush();
  }

  async writePieces(pieces: readonly (string | Uint8Array)[]): Promise<void> {
    for (const piece of pieces) {
      this.write(piece);
      // Lets the client's event loop read this piece before the next one joins it in the kernel.
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  halfClose(): void {
    this.#socket.shutdown();
  }

  end(): void {
    this.#endWhenFlushed = true;
    this.flush();
  }

  reset(): void {
    this.#endedHere = true;
    this.#socket.terminate();
  }

  arrived(bytes: Buffer): void {
    this.received = Buffer.concat([this.received, bytes]);
    this.#wake();
  }

  flush(): void {
    for (let next = this.#unwritten[0]; next !== undefined; next = this.#unwritten[0]) {
      const written = Math.max(0, this.#socket.write(next));
      if (written < next.length) {
        this.#unwritten[0] = next.subarray(written);
        return;
      }
      this.#unwritten.shift();
    }
    if (!this.#endWhenFlushed || this.#endedHere) return;
    this.#endedHere = true;
    this.#socket.end();
  }

  finished(): void {
    this.#endedByClient = true;
    this.#close.resolve("fin");
    this.#wake();
    if (this.#unwritten.length === 0) this.end();
  }

  gone(byError: boolean): void {
    this.isGone = true;
    this.#close.resolve(this.#endedHere ? "here" : byError ? "rst" : "fin");
    this.#wake();
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}

function requestIn(bytes: Buffer): { request: RawRequest; bytes: number } | undefined {
  const headEnd = bytes.indexOf("\r\n\r\n");
  if (headEnd < 0) return undefined;
  const head = bytes.toString("latin1", 0, headEnd);
  const bodyLength = Number(/^content-length: *(\d+)/im.exec(head)?.[1] ?? 0);
  const end = headEnd + 4 + bodyLength;
  if (bytes.length < end) return undefined;
  const line = head.slice(0, head.includes("\r\n") ? head.indexOf("\r\n") : head.length);
  return { request: { line, head, body: bytes.subarray(headEnd + 4, end) }, bytes: end };
}
