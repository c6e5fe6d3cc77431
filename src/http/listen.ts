// Opens a listener for an app.

import type { Log } from "../telemetry/log.ts";
import type { SocketState } from "./npc-socket.ts";

const listenRule = {
  /** Between the bytes of a head or a body; POST bodies have a limit of their own (body.ts). */
  idleSeconds: 30,
  /** Out of the way: Bun's own refusal has no body that says why. Ours is in body.ts. */
  bodyBytesMost: 2 ** 40,
} as const;

export type Answer = (request: Request) => Response | Promise<Response>;

/** Undefined: the request has become a socket. */
export type Route = (
  request: Request,
  server: Bun.Server<SocketState>,
) => Response | undefined | Promise<Response>;

/** What answers on a listener: exact paths first, everything else after. */
export interface App {
  readonly routes: Readonly<Record<string, Route>>;
  readonly fetch: Answer;
  /** For the sockets that the routes make. */
  readonly websocket?: Bun.WebSocketHandler<SocketState>;
  /** Other settings are in force: what is open and may not be any more is closed. */
  readonly reloaded?: () => void;
}

export interface ListenOptions {
  readonly hostname: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly tls?: { readonly cert: string; readonly key: string } | undefined;
}

export interface Listener {
  /** With the port that it really has. */
  readonly url: string;
  /** Stops listening. `now` also cuts what is open. */
  stop(now: boolean): Promise<void>;
}

/** Throws what Bun.serve throws, EADDRINUSE for one. */
export function listen(app: App, { hostname, port, tls }: ListenOptions, log: Log): Listener {
  const server = Bun.serve({
    hostname,
    port,
    development: false,
    // Left unsaid, two routers of one user share a port without a word.
    reusePort: false,
    idleTimeout: listenRule.idleSeconds,
    maxRequestBodySize: listenRule.bodyBytesMost,
    routes: app.routes,
    fetch: (request) => app.fetch(request),
    error(error) {
      log.error({ err: error }, "a request failed outside the router's own handlers");
      return new Response(null, { status: 500 });
    },
    websocket: app.websocket ?? {},
    ...(tls === undefined ? {} : { tls }),
  });
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return {
    url: `${tls === undefined ? "http" : "https"}://${host}:${server.port}`,
    stop: (now) => server.stop(now),
  };
}
