// The admin listener: for operators and the CLI. Errors are RFC 9457 problem documents.

import { Hono } from "hono";
import { explain } from "../routing/explain.ts";
import { resolveAsked } from "../routing/sla.ts";
import { addCacheApi } from "./cache-api.ts";
import type { Door } from "./door.ts";
import { addFleetApi } from "./fleet-api.ts";
import { addHealth } from "./health.ts";
import { laneMsFor } from "./in-lane.ts";
import { addJobsApi } from "./jobs-api.ts";
import type { App } from "./listen.ts";
import { exposeMetrics } from "./metrics.ts";
import { problem } from "./problem.ts";
import { prefersAsync, readSession, readSla } from "./request-headers.ts";
import { pathOf } from "./target.ts";

/** Nobody has come for a minute, or ever. */
const quietMsMost = 60_000;

export function createAdminApp(door: Door): App {
  const app = new Hono({ getPath: pathOf });

  app.use("/api/*", async (context, next) => {
    const { authenticateAdmin, isAdminHost } = door.settings();
    const { headers } = context.req.raw;
    const host = hostName(headers.get("host") ?? "");
    if (!isLoopbackName(host) && !isAdminHost(host)) {
      return problem(403, "Unknown host", `The admin API does not answer to the name "${host}".`);
    }
    if (authenticateAdmin !== undefined && authenticateAdmin(headers.get("authorization")) === undefined) {
      return problem(401, "Admin token needed", "Send the admin token as `Authorization: Bearer TOKEN`.", {
        "www-authenticate": "Bearer",
      });
    }
    // A page in a browser cannot send this type to another origin without asking first.
    const changes = context.req.method !== "GET" && context.req.method !== "HEAD";
    const type = headers.get("content-type")?.split(";")[0]?.trim();
    if (changes && type !== "application/json") {
      return problem(
        415,
        "JSON needed",
        "Calls that change something need `content-type: application/json`.",
      );
    }
    return next();
  });

  const drainState = (): Response => {
    const { phase, remaining, lastArrivalAt } = door.lifecycle;
    const state = { draining: phase === "draining", inflight: remaining };
    // Where peers answer for this host, callers go on coming until they have noticed.
    const quietMs = Math.min(door.clock.now() - lastArrivalAt, quietMsMost);
    return Response.json(door.fleet.peers.length === 0 ? state : { ...state, quiet_ms: Math.round(quietMs) });
  };
  app.get("/api/drain", drainState);
  app.post("/api/drain", () => {
    if (door.lifecycle.phase === "ready") {
      door.lifecycle.enter("draining");
      door.log.info({ inflight: door.lifecycle.active }, "draining: asked by an operator");
    }
    return drainState();
  });
  app.post("/api/undrain", () => {
    if (door.lifecycle.ending) {
      return problem(409, "Going down", "The router has been told to end and cannot be brought back.");
    }
    if (door.lifecycle.phase === "draining") {
      door.lifecycle.enter("ready");
      door.log.info("taking requests again: asked by an operator");
    }
    return drainState();
  });

  app.get("/api/explain", (context) => {
    const sla = readSla(context.req.query("sla") ?? null);
    if (typeof sla === "object")
      return problem(400, "Unknown SLA class", sla.message.replace("x-tierline-sla", "sla"));
    const { policy } = door.settings();
    const asked = resolveAsked(policy, sla, context.req.query("model"));
    const now = door.clock.now();
    const deadline = now + policy.sla[asked.sla].totalMs;
    const session = readSession(context.req.query("session") ?? null, undefined);
    const elsewhere = door.lifecycle.phase === "draining";
    const stream = context.req.query("stream") !== "false";
    const described = { ...asked, path: "/v1/chat/completions", stream } as const;
    const prefers = prefersAsync(context.req.query("prefer") ?? null);
    const laneMs = elsewhere ? undefined : laneMsFor({ ...described, bodyBytes: 0 }, prefers, door);
    const request = { ...described, deadline, session, elsewhere, laneMs };
    const { decision, candidates } = explain(request, door.fleet, now, door.random);
    const rungOf = (name: string): number => {
      const rung = asked.ladder.findIndex(({ tier }) => tier === door.fleet.named(name)?.spec.tier);
      return rung < 0 ? asked.ladder.length : rung;
    };
    // As they would come to their turn; who reads it knows no ladder.
    const inOrder = candidates.toSorted((a, b) => rungOf(a.endpoint) - rungOf(b.endpoint));
    return Response.json({ decision, candidates: inOrder });
  });
  app.get(
    "/api/config",
    () => new Response(door.printedConfig(), { headers: { "content-type": "application/toml" } }),
  );

  addCacheApi(app, door);
  addFleetApi(app, door);
  addJobsApi(app, door);
  addHealth(app, door);
  app.get("/metrics", () => exposeMetrics(door));
  app.notFound((context) => problem(404, "Not found", `There is nothing at ${context.req.path}.`));
  app.onError((error) => {
    door.log.error({ err: error }, "an admin call failed in the router itself");
    return problem(500, "Internal error", "The router failed on this call. Its log has the reason.");
  });
  return { fetch: app.fetch, routes: {} };
}

/** Without the port, and without the brackets of an IPv6 address. */
function hostName(host: string): string {
  return (/^\[([^\]]*)\]/.exec(host)?.[1] ?? host.split(":")[0] ?? "").toLowerCase();
}

const isLoopbackName = (name: string): boolean =>
  name === "localhost" || name === "::1" || /^127(\.\d{1,3}){3}$/.test(name);
