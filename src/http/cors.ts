// What pages of other origins may ask for and read of answers: Hono's middleware, and which origins and headers.

import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";

/** `origins`: those let in, read at each request. */
export const corsFor = (origins: () => readonly string[]): MiddlewareHandler =>
  cors({
    origin: (origin) => {
      const allowed = origins();
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
