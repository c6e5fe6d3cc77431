// The public listener: what game clients speak to.

import { Hono } from "hono";
import { cors } from "hono/cors";
import { inferencePaths } from "../engines/dialect.ts";
import type { Door } from "./door.ts";
import { errorResponse } from "./errors.ts";
import { health, live, ready } from "./health.ts";
import type { App, Route } from "./listen.ts";
import { exposeMetrics } from "./metrics.ts";
import { getModel, listModels } from "./models.ts";
import { handleInference } from "./openai.ts";
import { requestIdOf } from "./request-headers.ts";

export function createPublicApp(door: Door): App {
  const app = new Hono();

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
      "server-timing",
    ],
  });
  app.use((context, next) => {
    const admitted = async (): Promise<void> => {
      const { headers } = context.req.raw;
      const refusal = refuse(headers, context.req.path, door);
      if (refusal === undefined) await next();
      else context.res = refusal;
      withRequestId(context.res, headers);
    };
    return context.req.raw.headers.has("origin") ? browsers(context, admitted) : admitted();
  });

  for (const path of inferencePaths) {
    app.post(path, (context) => handleInference(path, context.req.raw, door));
    allowOnly(app, path, "POST");
  }
  app.get("/v1/models", () => listModels(door));
  allowOnly(app, "/v1/models", "GET, HEAD");
  // A model's name may hold slashes.
  app.get("/v1/models/:id{[^]+}", (context) => getModel(context.req.param("id"), door));
  allowOnly(app, "/v1/models/*", "GET, HEAD");

  addHealth(app, door);
  app.get("/metrics", () =>
    door.settings().metricsOnPublic
      ? exposeMetrics(door)
      : errorResponse("not_found", "Metrics are on the admin listener."),
  );
  app.notFound((context) => errorResponse("not_found", `There is nothing at ${context.req.path}.`));
  const failed = (error: unknown): Response => {
    door.log.error({ err: error }, "a request failed in the router itself");
    return errorResponse("internal_error", "The router failed on this request. Its log has the reason.");
  };
  app.onError(failed);

  // The hot path stands beside Hono, which costs a tenth of it. Browsers take the long way, for CORS.
  const posts = inferencePaths.map((path): [string, Route] => [
    path,
    (request) => {
      if (request.method !== "POST" || request.headers.has("origin")) return app.fetch(request);
      const refusal = refuse(request.headers, path, door);
      if (refusal !== undefined) return withRequestId(refusal, request.headers);
      return handleInference(path, request, door).catch(failed);
    },
  ]);
  return { fetch: app.fetch, routes: Object.fromEntries(posts) };
}

export function addHealth(app: Hono, door: Door): void {
  app.get("/livez", live);
  app.get("/healthz", live);
  app.get("/readyz", () => ready(door));
  app.get("/health", () => health(door));
}

function allowOnly(app: Hono, path: string, methods: string): void {
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

/** Why a request may not come in at all: it cannot be read in one way only, or it carries no key. */
function refuse(headers: Headers, path: string, { settings, account }: Door): Response | undefined {
  const wrong = unreadable(headers);
  if (wrong !== undefined)
    return errorResponse("invalid_request", wrong, { headers: { connection: "close" } });
  const { authenticate } = settings();
  if (authenticate === undefined || !path.startsWith("/v1/")) return undefined;
  const header = headers.get("authorization");
  if (authenticate(header) !== undefined) return undefined;
  account.rejected("invalid_api_key");
  const message =
    header === null
      ? "No API key given. Send it as `Authorization: Bearer KEY`."
      : "The API key is not known here. Check the key, and that it is sent as `Authorization: Bearer KEY`.";
  return errorResponse("invalid_api_key", message, { headers: { "www-authenticate": "Bearer" } });
}

/** What HTTP/1.1 says must be refused and Bun.serve lets pass (RFC 9112 section 3.2, RFC 9110 section 10.1.1). */
function unreadable(headers: Headers): string | undefined {
  if (/[,\s/\\?#@]/.test(headers.get("host") ?? "")) return "The Host header must name one host.";
  const expect = headers.get("expect");
  if (expect !== null && expect.toLowerCase() !== "100-continue") return "This Expect header cannot be met.";
  return undefined;
}
