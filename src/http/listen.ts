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
  /** Closes the connections that nothing is asked on. Answers how many there were. */
  closeIdle(): number;
  /** Takes no connections until `reopen`; what is under way on those that are open goes on, and they are closed after it. */
  shut(): void;
  /** False: it could not be. */
  reopen(): boolean;
  /** Stops listening. `now` also cuts what is open. */
  stop(now: boolean): Promise<void>;
}

/** Throws what Bun.serve throws, EADDRINUSE for one. */
export function listen(app: App, { hostname, port, tls }: ListenOptions, log: Log): Listener {
  const open = (at: number): Bun.Server<SocketState> =>
    Bun.serve({
      hostname,
      port: at,
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
  let server = open(port);
  const taken = server.port ?? port;
  let state: "open" | "shut" | "stopped" = "open";
  /** Whoever reopens it tries again and again. */
  let toldOfFailure = false;
  /** Shut, with connections that are not over. */
  const ending = new Set<Bun.Server<SocketState>>();
  const host = hostname.includes(":") ? `[${hostname}]` : hostname;
  return {
    url: `${tls === undefined ? "http" : "https"}://${host}:${taken}`,
    closeIdle: () => server.closeIdleConnections(),
    shut() {
      if (state !== "open") return;
      state = "shut";
      const shut = server;
      ending.add(shut);
      void shut.stop(false).then(() => ending.delete(shut));
    },
    reopen() {
      if (state !== "shut") return true;
      try {
        server = open(taken);
        state = "open";
        toldOfFailure = false;
      } catch (error) {
        if (!toldOfFailure)
          log.error(
            { err: error },
            "the listener was shut and cannot be opened again; it is tried until it can",
          );
        toldOfFailure = true;
      }
      return state === "open";
    },
    async stop(now) {
      state = "stopped";
      await Promise.all([server, ...ending].map((each) => each.stop(now)));
    },
  };
}
