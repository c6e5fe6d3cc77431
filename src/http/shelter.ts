// The public listener while this host is short of descriptors or memory: answers close their connections, and then new
// requests are refused before anything is done for them. What is under way goes on.

import type { MiddlewareHandler } from "hono";
import { Hono } from "hono";
import type { Scarce, Strain } from "../base/strain.ts";
import { errorResponse } from "./errors.ts";
import { healthPaths } from "./health.ts";
import type { App, Route } from "./listen.ts";
import { intentsPath } from "./npc.ts";
import { requestIdOf } from "./request-headers.ts";
import { pathOf } from "./target.ts";

/** The time in which what is under way ends, or idle connections are gone. */
const comeBackMs = 1000;

/** How this host is must be told in trouble most of all, and an NPC always gets an intent. */
const spared: ReadonlySet<string> = new Set([...healthPaths, "/metrics", intentsPath]);

/** `browsers`: what the app's own answers to pages of other origins go through. */
export function sheltered(app: App, strain: Strain, browsers: MiddlewareHandler): App {
  const refuse = (request: Request, because: Scarce): Response => {
    strain.refused(because);
    return refusal(because, request);
  };
  // A page reads a refusal only with the headers that let it, and asks only where it was told that it may.
  const toPages = new Hono<{ Bindings: { because: Scarce } }>({ getPath: pathOf })
    .use(browsers)
    .all("*", ({ req, env }) => refuse(req.raw, env.because));

  const under = <Result extends Response | undefined>(
    request: Request,
    answer: () => Result | Promise<Response>,
  ): Result | Response | Promise<Response> => {
    const because = strain.shedding;
    if (because !== undefined && !spared.has(pathOf(request))) {
      if (!request.headers.has("origin")) return refuse(request, because);
      return Promise.resolve(toPages.fetch(request, { because })).then(closing);
    }
    const answered = answer();
    if (answered instanceof Promise) return answered.then(closing);
    return answered instanceof Response ? closing(answered) : answered;
  };
  // Each hot path comes by here: while there is enough of everything it costs a look.
  const route =
    (open: Route): Route =>
    (request, server) =>
      strain.closing ? under(request, () => open(request, server)) : open(request, server);
  return {
    ...app,
    routes: Object.fromEntries(Object.entries(app.routes).map(([path, open]) => [path, route(open)])),
    fetch: (request) => (strain.closing ? under(request, () => app.fetch(request)) : app.fetch(request)),
  };
}

function closing(response: Response): Response {
  response.headers.set("connection", "close");
  return response;
}

function refusal(because: Scarce, request: Request): Response {
  const message = `This host is short of ${because} and takes no new requests. Try again on another host, or shortly.`;
  return errorResponse("host_overloaded", message, {
    retryAfterMs: comeBackMs,
    headers: {
      connection: "close",
      "x-tierline-because": because,
      "x-request-id": requestIdOf(request.headers.get("x-request-id")),
    },
  });
}
