// The public listener: what game clients speak to.

import type { Env } from "hono";
import { Hono } from "hono";
import { inferencePaths } from "../engines/dialect.ts";
import { peerHeader } from "../host/forwarded.ts";
import { answeredHere } from "../host/job-call.ts";
import { admit, noTunnel, refusedIntents } from "./admit.ts";
import type { Admitted } from "./arrival.ts";
import { corsFor } from "./cors.ts";
import type { Door } from "./door.ts";
import { errorResponse } from "./errors.ts";
import type { OpenSealed } from "./forwarded.ts";
import { openForwarded, openJobCall, toldToPeer } from "./forwarded.ts";
import { addHealth } from "./health.ts";
import { jobsPath } from "./job-shape.ts";
import { addJobs, patiently } from "./jobs.ts";
import type { App, Route } from "./listen.ts";
import { exposeMetrics } from "./metrics.ts";
import { getModel, listModels } from "./models.ts";
import { createHandleIntents, intentsPath, listArchetypes } from "./npc.ts";
import { createAnswerFrame } from "./npc-frames.ts";
import { createAnswerItems } from "./npc-items.ts";
import { createNpcSockets, socketAuthorization, streamPath } from "./npc-socket.ts";
import { handleInference } from "./openai.ts";
import { requestIdOf } from "./request-headers.ts";
import { sheltered } from "./shelter.ts";
import { pathOf } from "./target.ts";

export function createPublicApp(door: Door): App {
  const app = new Hono<{ Variables: { admitted: Admitted } }>({ getPath: pathOf });
  const forwards = new Map<string, OpenSealed>(inferencePaths.map((path) => [path, openForwarded(path)]));

  // Who does not come from a browser need not pay for it.
  const browsers = corsFor(() => door.settings().corsOrigins);
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
    const refusal = refusedIntents(key, door);
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
    const refusal = refusedIntents(key, door) ?? sockets.upgrade(request, server, key);
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
  return sheltered(all, door.strain, browsers);
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
