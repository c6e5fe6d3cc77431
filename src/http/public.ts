// The public listener: what game clients speak to.

import type { Env } from "hono";
import { Hono } from "hono";
import { cors } from "hono/cors";
import { inferencePaths } from "../engines/dialect.ts";
import { peerHeader } from "../host/forwarded.ts";
import { answeredHere } from "../host/job-call.ts";
import type { SlaClass } from "../routing/sla.ts";
import type { Admitted } from "./arrival.ts";
import { forbids } from "./callers.ts";
import type { Door } from "./door.ts";
import { errorResponse } from "./errors.ts";
import type { OpenSealed } from "./forwarded.ts";
import { openForwarded, openJobCall, toldToPeer } from "./forwarded.ts";
import { health, live, ready } from "./health.ts";
import { jobsPath } from "./job-shape.ts";
import { addJobs, patiently } from "./jobs.ts";
import type { App, Route } from "./listen.ts";
import { exposeMetrics } from "./metrics.ts";
import { getModel, listModels } from "./models.ts";
import { createHandleIntents, listArchetypes } from "./npc.ts";
import { createAnswerFrame } from "./npc-frames.ts";
import { createAnswerItems } from "./npc-items.ts";
import { createNpcSockets, socketAuthorization, streamPath } from "./npc-socket.ts";
import { handleInference } from "./openai.ts";
import { readSla, requestIdOf } from "./request-headers.ts";
import { sheltered } from "./shelter.ts";
import { pathOf } from "./target.ts";

const intentsPath = "/v1/npc/intents";

export function createPublicApp(door: Door): App {
  const app = new Hono<{ Variables: { admitted: Admitted } }>({ getPath: pathOf });
  const forwards = new Map<string, OpenSealed>(inferencePaths.map((path) => [path, openForwarded(path)]));

  // Who does not come from a browser need not pay for it.
  const browsers = cors({
    origin: (origin) => {
      const allowed = door.settings().corsOrigins;
      return allowed.includes("*") || allowed.includes(origin) ? origin : null;
    },
    exposeHeaders: [
      "x-request-id",
      "x-tierline-tier",
      "x-tierline-endpoint",
      "x-tierline-because",
      "x-tierline-cache",
      "server-timing",
      "location",
      "retry-after",
      "retry-after-ms",
      "x-should-retry",
      "x-ratelimit-limit-requests",
      "x-ratelimit-remaining-requests",
      "x-ratelimit-reset-requests",
      "ratelimit-policy",
      "ratelimit",
    ],
  });
  app.use((context, next) => {
    const admitted = async (): Promise<void> => {
      const { headers, method } = context.req.raw;
      const { path } = context.req;
      const sealed = path.startsWith(jobsPath)
        ? openJobCall(context.req.raw)
        : method === "POST"
          ? forwards.get(path)
          : undefined;
      const admission = method === "CONNECT" ? noTunnel() : admit(headers, path, door, sealed);
      if (admission instanceof Response) context.res = admission;
      else {
        context.set("admitted", admission);
        await next();
        if (admission.fromMember !== undefined) context.res.headers.set(peerHeader, answeredHere);
        admission.key?.limit?.tell(context.res.headers);
      }
      withRequestId(context.res, headers);
    };
    return context.req.raw.headers.has("origin") ? browsers(context, admitted) : admitted();
  });

  for (const path of inferencePaths) {
    app.post(path, (context) => handleInference(path, context.req.raw, context.get("admitted"), door));
    allowOnly(app, path, "POST");
  }
  app.get("/v1/models", () => listModels(door));
  allowOnly(app, "/v1/models", "GET, HEAD");
  // A model's name may hold slashes.
  app.get("/v1/models/:id{[^]+}", (context) => getModel(context.req.param("id"), door));
  allowOnly(app, "/v1/models/*", "GET, HEAD");

  const answerFrame = createAnswerFrame(door);
  const handleIntents = createHandleIntents(door, answerFrame, createAnswerItems(door));
  const answerIntents = (request: Request, { key }: Admitted): Promise<Response> => {
    const refusal = refusedTo(key, door);
    if (refusal === undefined) return handleIntents(request);
    return Promise.resolve(withRequestId(refusal, request.headers));
  };
  app.post(intentsPath, (context) => answerIntents(context.req.raw, context.get("admitted")));
  allowOnly(app, intentsPath, "POST");
  app.get("/v1/npc/archetypes", () => listArchetypes(door));
  allowOnly(app, "/v1/npc/archetypes", "GET, HEAD");
  addJobs(app, door, allowOnly);

  addHealth(app, door);
  app.get("/metrics", () =>
    door.settings().metricsOnPublic
      ? exposeMetrics(door)
      : errorResponse("not_found", "Metrics are on the admin listener."),
  );
  app.notFound(({ req }) => {
    const where = "What can be asked for is at /v1/models, and how this host is at /health.";
    return errorResponse("not_found", `There is nothing at ${req.path}. ${where}`);
  });
  const failed = (error: unknown, admitted: Admitted | undefined): Response => {
    door.log.error({ err: error }, "a request failed in the router itself");
    const headers = admitted?.fromPeer && toldToPeer(admitted.fromPeer, door, "internal_error");
    const message = "The router failed on this request. Its log has the reason.";
    return errorResponse("internal_error", message, { headers });
  };
  app.onError((error, context) => failed(error, context.get("admitted")));

  // The hot paths stand beside Hono, which costs a tenth of them, and a third of an intent. Browsers take the long way,
  // for CORS.
  const beside = (
    path: string,
    handle: (request: Request, admitted: Admitted) => Promise<Response>,
  ): [string, Route] => {
    const sealed = forwards.get(path);
    return [
      path,
      (request) => {
        if (request.method !== "POST" || request.headers.has("origin")) return app.fetch(request);
        const admission = admit(request.headers, path, door, sealed);
        if (admission instanceof Response) return withRequestId(admission, request.headers);
        const answer = handle(request, admission).catch((error: unknown) => failed(error, admission));
        const limit = admission.key?.limit;
        if (limit === undefined) return answer;
        return answer.then((response) => {
          limit.tell(response.headers);
          return response;
        });
      },
    ];
  };
  const posts = inferencePaths.map((path) =>
    beside(path, (request, admitted) => handleInference(path, request, admitted, door)),
  );
  const sockets = createNpcSockets(door, answerFrame);
  const stream: Route = (request, server) => {
    const { headers } = request;
    const admission = admit(headers, streamPath, door, undefined, socketAuthorization);
    if (admission instanceof Response) return withRequestId(admission, headers);
    const { key } = admission;
    const refusal = refusedTo(key, door) ?? sockets.upgrade(request, server, key);
    if (refusal !== undefined) key?.limit?.tell(refusal.headers);
    return refusal && withRequestId(refusal, headers);
  };
  const routes = Object.fromEntries([
    ...posts,
    beside(intentsPath, answerIntents),
    [streamPath, stream],
    [`${jobsPath}/:id`, patiently(app.fetch)],
  ]);
  const all: App = { fetch: app.fetch, routes, websocket: sockets.handler, reloaded: sockets.recheck };
  return door.strain === undefined ? all : sheltered(all, door.strain);
}

export function addHealth<E extends Env>(app: Hono<E>, door: Door): void {
  app.get("/livez", live);
  app.get("/healthz", live);
  app.get("/readyz", () => ready(door));
  app.get("/health", () => health(door));
}

function allowOnly<E extends Env>(app: Hono<E>, path: string, methods: string): void {
  app.all(path, (context) =>
    errorResponse("method_not_allowed", `${context.req.method} is not possible here; use ${methods}.`, {
      headers: { allow: methods },
    }),
  );
}

/** Every answer has one, so that a caller's report can be found in the log. */
function withRequestId(response: Response, headers: Headers): Response {
  if (!response.headers.has("x-request-id")) {
    response.headers.set("x-request-id", requestIdOf(headers.get("x-request-id")));
  }
  return response;
}

const anybody: Admitted = { caller: undefined };

/**
 * Whose request it is, or why it may not come in: it cannot be read in one way only, or it carries neither a key nor a
 * peer's seal. `sealed`: where peers may send it as well.
 */
function admit(
  headers: Headers,
  path: string,
  { settings, account, cluster }: Door,
  sealed?: OpenSealed,
  authorizationIn = (given: Headers) => given.get("authorization"),
): Admitted | Response {
  const wrong = unreadable(headers);
  if (wrong !== undefined)
    return errorResponse("invalid_request", wrong, { headers: { connection: "close" } });
  const opened = sealed?.(headers, cluster);
  if (opened !== undefined) return opened;
  const { authenticate } = settings();
  if (authenticate === undefined || !path.startsWith("/v1/")) return anybody;
  const authorization = authorizationIn(headers);
  const key = authenticate(authorization);
  if (key !== undefined) {
    if (key.limit === undefined || key.limit.take()) return { caller: key.name, key };
    account.limited(key.name, classAtTheDoor(path, headers));
    return key.limit.refusal();
  }
  account.rejected("invalid_api_key");
  const message =
    authorization === null
      ? "No API key given. Send it as `Authorization: Bearer KEY`."
      : "The API key is not known here. Check the key, and that it is sent as `Authorization: Bearer KEY`.";
  return errorResponse("invalid_api_key", message, { headers: { "www-authenticate": "Bearer" } });
}

/** For the figures: before the body is read, the path and a header are all that tells. */
function classAtTheDoor(path: string, headers: Headers): SlaClass | "none" {
  if (path === intentsPath || path === streamPath) return "realtime";
  if (path.startsWith(jobsPath)) return "async";
  const sla = readSla(headers.get("x-tierline-sla"));
  return typeof sla === "string" ? sla : "none";
}

/** NPC intents are realtime. */
function refusedTo(key: Admitted["key"], { account }: Door): Response | undefined {
  const why = forbids(key, "realtime");
  if (why === undefined) return undefined;
  account.rejected(why.code);
  return errorResponse(why.code, why.message);
}

/** Bun takes what follows on the connection for the tunnel's. */
const noTunnel = (): Response =>
  errorResponse("method_not_allowed", "CONNECT is for proxies; this is none.", {
    headers: { connection: "close" },
  });

/** A name, an IPv4 address or a bracketed IPv6 one, perhaps with a port; or nothing. */
const oneHost = /^(?:\[[\da-f:.]{2,45}\]|[\w.~!$&'()*+;=-]*)(?::\d{0,5})?$/i;

/** What HTTP/1.1 says must be refused and Bun.serve lets pass (RFC 9112 section 3.2, RFC 9110 section 10.1.1). */
function unreadable(headers: Headers): string | undefined {
  if (!oneHost.test(headers.get("host") ?? "")) return "The Host header must name one host.";
  const expect = headers.get("expect");
  if (expect !== null && expect.toLowerCase() !== "100-continue") return "This Expect header cannot be met.";
  return undefined;
}
