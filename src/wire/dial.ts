// Opens connections. A connect cannot be called back once it is in the air, so whoever dials is told in the
// end, however late, and decides then whether the connection is still wanted.

import type { Socket, SocketHandler, TLSOptions } from "bun";
import type { Clock } from "../base/clock.ts";
import { Connection } from "./connection.ts";
import type { WireLimits } from "./limits.ts";
import type { WireErrorCode } from "./wire-error.ts";

export interface WireTarget {
  readonly host: string;
  readonly port: number;
  /** `serverName` defaults to the host. `ca` (PEM) stands in for the system's authorities. */
  readonly tls?: { readonly serverName?: string; readonly ca?: string };
}

/** Told either `opened`, any number of `idle` and at last `closed`, or only `failed`. */
export interface Dialler {
  opened(connection: Connection): void;
  failed(code: WireErrorCode, why: string): void;
  /** An answer has been read to its end; the connection can carry another request. */
  idle(connection: Connection): void;
  closed(connection: Connection): void;
}

/** What a socket carries with it until it is gone. */
interface Dialled {
  connection: Connection | undefined;
  /** The dialler has been told that it will not become a connection. */
  failed: boolean;
  stopTimer: (() => void) | undefined;
}

/** Returns the function that dials once. */
export function dialTo(target: WireTarget, clock: Clock, limits: WireLimits, dialler: Dialler): () => void {
  const fail = (dialled: Dialled, code: WireErrorCode, why: string): void => {
    if (dialled.failed) return;
    dialled.failed = true;
    dialled.stopTimer?.();
    dialler.failed(code, why);
  };
  const opened = (socket: Socket<Dialled>): void => {
    socket.setNoDelay(true);
    const connection = new Connection(socket, target.tls !== undefined, limits, dialler.idle);
    socket.data.connection = connection;
    dialler.opened(connection);
  };

  const plain: SocketHandler<Dialled> = {
    open: opened,
    data: (socket, bytes) => socket.data.connection?.arrived(bytes),
    drain: (socket) => socket.data.connection?.writable(),
    end: (socket) => socket.data.connection?.ended(),
    close(socket) {
      const { connection } = socket.data;
      if (connection === undefined) {
        fail(socket.data, "tls", "the connection closed during the handshake");
      } else {
        connection.closed();
        dialler.closed(connection);
      }
    },
    connectError(socket, error) {
      fail(socket.data, isRefusal(error) ? "refused" : "unreachable", error.message);
    },
    error(socket, error) {
      socket.terminate();
      // A broken TLS session has a code; anything else is a bug in what a handler called.
      if (!("code" in error)) throw error;
    },
  };
  const overTls: SocketHandler<Dialled> = {
    ...plain,
    open(socket) {
      // Unlike a connect, a handshake can be given up, and an upstream may never answer it.
      socket.data.stopTimer = clock.after(limits.connectMs, () => {
        fail(socket.data, "unreachable", `no TLS handshake within ${limits.connectMs} ms`);
        socket.terminate();
      });
    },
    handshake(socket, success, verification) {
      socket.data.stopTimer?.();
      if (success && verification === null) {
        opened(socket);
        return;
      }
      fail(socket.data, "tls", verification?.message ?? "the handshake failed");
      socket.terminate();
    },
  };

  // Bun.connect would throw at every request.
  if (!(target.port > 0 && target.port < 65_536)) throw new RangeError(`not a port: ${target.port}`);
  const address = { hostname: target.host, port: target.port };
  const tls = target.tls === undefined ? undefined : tlsOptions(target.tls);
  return () => {
    const data: Dialled = { connection: undefined, failed: false, stopTimer: undefined };
    const connecting =
      tls === undefined
        ? Bun.connect({ ...address, data, socket: plain })
        : Bun.connect({ ...address, data, socket: overTls, tls });
    // `connectError` has told the dialler already.
    connecting.catch(() => {});
  };
}

function tlsOptions(tls: NonNullable<WireTarget["tls"]>): TLSOptions {
  return { rejectUnauthorized: true, ...tls };
}

const isRefusal = (error: Error): boolean => "code" in error && error.code === "ECONNREFUSED";
