// A small HTTP/1.1 server over raw sockets: every byte of an answer is ours, so it can be late, cut or wrong.
// It knows nothing of engines or faults; what it offers beyond a usual server is `raw`, `close` and `reset`.

import type { Socket, TCPSocketListener } from "bun";
import type { HttpRequest } from "./http-request.ts";
import { parseRequest } from "./http-request.ts";

/** One request and the means to answer it: `answer` once, or `begin`, `chunk`… and `end`. */
export interface Exchange {
  readonly request: HttpRequest;
  /** A whole answer with its content-length. */
  answer(status: number, headers: HeaderRow[], body: string | Uint8Array): void;
  /** The head of a chunked answer. */
  begin(status: number, headers: HeaderRow[]): void;
  chunk(body: string): void;
  end(): void;
  /** Bytes without any framing; the connection serves no further request. */
  raw(bytes: string | Uint8Array): void;
  /** FIN after what was written. */
  close(): void;
  /** RST, dropping what was not yet sent. */
  reset(): void;
  /** Called once if the client leaves before the answer has ended. */
  onGone(left: () => void): void;
}

export type HeaderRow = readonly [name: string, value: string];

export interface HttpListener {
  readonly port: number;
  /** Open connections. */
  connections(): number;
  /** Connections accepted since the start. */
  accepted(): number;
  /** Stops listening and cuts every connection, as a crash does. */
  refuse(): void;
  /** Listens again, on the same port. */
  listen(): void;
}

export interface HttpListenerOptions {
  readonly port: number;
  readonly hostname: string;
  /** Idle connections are closed after this long, as uvicorn does after 5 s; 0 = never. */
  readonly keepAliveMs: number;
  /** Returning false resets the connection at once. */
  onConnection(): boolean;
  onRequest(exchange: Exchange): void;
}

/** A request larger than this is cut off: no test needs it, and memory is bounded. */
const requestBytesMax = 64 * 1024 * 1024;
/** An answer that its reader leaves lying is dropped with the connection beyond this. */
const unsentBytesMax = 512 * 1024 * 1024;

interface Connection {
  readonly id: number;
  turns: number;
  /** Received and not yet consumed. */
  inbox: Buffer;
  /** Written and not yet taken by the kernel. */
  outbox: Uint8Array[];
  outboxBytes: number;
  /** The request being answered, if any; others on the same connection wait for its end. */
  current: { left: (() => void) | undefined } | undefined;
  /** Set once nothing more may be served here; `closing` also sends FIN when the outbox is empty. */
  spent: boolean;
  closing: boolean;
  idle: Timer | undefined;
}

export function listenHttp(options: HttpListenerOptions): HttpListener {
  const open = new Set<Socket<Connection>>();
  let accepted = 0;
  let port = options.port;
  let listener: TCPSocketListener<Connection> | undefined;

  const listen = (): void => {
    if (listener !== undefined) return;
    listener = Bun.listen<Connection>({
      hostname: options.hostname,
      port,
      socket: {
        open(socket) {
          accepted += 1;
          socket.data = newConnection(accepted);
          open.add(socket);
          socket.setNoDelay(true);
          if (!options.onConnection()) socket.terminate();
        },
        data(socket, bytes) {
          const connection = socket.data;
          clearTimeout(connection.idle);
          if (connection.spent) return;
          connection.inbox = connection.inbox.length === 0 ? bytes : Buffer.concat([connection.inbox, bytes]);
          if (connection.inbox.length > requestBytesMax) socket.terminate();
          else serve(socket, options);
        },
        drain: flush,
        close(socket) {
          const connection = socket.data;
          open.delete(socket);
          clearTimeout(connection.idle);
          connection.spent = true;
          const left = connection.current?.left;
          connection.current = undefined;
          left?.();
        },
        error(socket) {
          socket.terminate();
        },
      },
    });
    port = listener.port;
  };

  listen();
  return {
    get port() {
      return port;
    },
    connections: () => open.size,
    accepted: () => accepted,
    refuse() {
      listener?.stop(true);
      listener = undefined;
      for (const socket of open) socket.terminate();
    },
    listen,
  };
}

function newConnection(id: number): Connection {
  return {
    id,
    turns: 0,
    inbox: Buffer.alloc(0),
    outbox: [],
    outboxBytes: 0,
    current: undefined,
    spent: false,
    closing: false,
    idle: undefined,
  };
}

/** Takes the next whole request out of the inbox, unless one is being answered. */
function serve(socket: Socket<Connection>, options: HttpListenerOptions): void {
  const connection = socket.data;
  if (connection.current !== undefined || connection.spent) return;
  const parsed = parseRequest(connection.inbox);
  if (parsed === "incomplete") return;
  if (parsed === "malformed") {
    connection.spent = true;
    send(socket, "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    socket.end();
    return;
  }
  connection.inbox = connection.inbox.subarray(parsed.bytes);
  connection.turns += 1;
  const request: HttpRequest = { ...parsed.request, connection: connection.id, turn: connection.turns };
  const wantsClose = request.headers["connection"]?.toLowerCase() === "close";
  options.onRequest(exchange(socket, request, wantsClose, () => serve(socket, options), options.keepAliveMs));
}

function exchange(
  socket: Socket<Connection>,
  request: HttpRequest,
  wantsClose: boolean,
  next: () => void,
  keepAliveMs: number,
): Exchange {
  const connection = socket.data;
  const current: { left: (() => void) | undefined } = { left: undefined };
  connection.current = current;
  /** False once the answer has ended or the client has left: late writes fall on the floor. */
  const live = (): boolean => connection.current === current;

  const finish = (): void => {
    connection.current = undefined;
    if (wantsClose) closeSoon(socket);
    if (connection.spent) return;
    if (keepAliveMs > 0) connection.idle = setTimeout(() => closeSoon(socket), keepAliveMs);
    if (connection.inbox.length > 0) next();
  };

  return {
    request,
    answer(status, headers, body) {
      if (!live()) return;
      const bytes = typeof body === "string" ? Buffer.byteLength(body) : body.byteLength;
      const head = headOf(status, headers, `content-length: ${bytes}`, wantsClose);
      if (request.method === "HEAD") send(socket, head);
      else if (typeof body === "string") send(socket, head + body);
      else {
        send(socket, head);
        send(socket, body);
      }
      finish();
    },
    begin(status, headers) {
      if (live()) send(socket, headOf(status, headers, "transfer-encoding: chunked", wantsClose));
    },
    chunk(body) {
      if (live()) send(socket, `${Buffer.byteLength(body).toString(16)}\r\n${body}\r\n`);
    },
    end() {
      if (!live()) return;
      send(socket, "0\r\n\r\n");
      finish();
    },
    raw(bytes) {
      if (!live()) return;
      connection.spent = true;
      send(socket, bytes);
    },
    close() {
      if (!live()) return;
      connection.current = undefined;
      closeSoon(socket);
    },
    reset() {
      if (!live()) return;
      connection.current = undefined;
      connection.spent = true;
      socket.terminate();
    },
    onGone(left) {
      if (live()) current.left = left;
    },
  };
}

function send(socket: Socket<Connection>, data: string | Uint8Array): void {
  const connection = socket.data;
  const bytes = typeof data === "string" ? Buffer.from(data) : data;
  const written = connection.outboxBytes === 0 ? Math.max(0, socket.write(bytes)) : 0;
  if (written === bytes.byteLength) return;
  const rest = bytes.subarray(written);
  connection.outbox.push(rest);
  connection.outboxBytes += rest.byteLength;
  if (connection.outboxBytes > unsentBytesMax) socket.terminate();
}

function flush(socket: Socket<Connection>): void {
  const connection = socket.data;
  for (let head = connection.outbox.shift(); head !== undefined; head = connection.outbox.shift()) {
    const written = Math.max(0, socket.write(head));
    connection.outboxBytes -= written;
    if (written < head.byteLength) {
      connection.outbox.unshift(head.subarray(written));
      return;
    }
  }
  if (connection.closing) socket.end();
}

function closeSoon(socket: Socket<Connection>): void {
  const connection = socket.data;
  connection.spent = true;
  connection.closing = true;
  if (connection.outboxBytes === 0) socket.end();
}

const reasons: Readonly<Record<number, string>> = {
  200: "OK",
  400: "Bad Request",
  401: "Unauthorized",
  404: "Not Found",
  405: "Method Not Allowed",
  429: "Too Many Requests",
  500: "Internal Server Error",
  502: "Bad Gateway",
  503: "Service Unavailable",
};

/** The status line and headers up to the empty line, as uvicorn writes them. */
export function headOf(
  status: number,
  headers: readonly HeaderRow[],
  framing: string,
  close = false,
): string {
  let head = `HTTP/1.1 ${status} ${reasons[status] ?? "Unknown"}\r\ndate: ${httpDate()}\r\nserver: uvicorn\r\n`;
  for (const [name, value] of headers) head += `${name}: ${value}\r\n`;
  if (close) head += "connection: close\r\n";
  return framing === "" ? `${head}\r\n` : `${head}${framing}\r\n\r\n`;
}

let dateSecond = 0;
let dateText = "";

/** One formatting a second: it would otherwise be the dearest part of a small answer. */
function httpDate(): string {
  const second = Math.floor(Date.now() / 1000);
  if (second !== dateSecond) {
    dateSecond = second;
    dateText = new Date(second * 1000).toUTCString();
  }
  return dateText;
}
