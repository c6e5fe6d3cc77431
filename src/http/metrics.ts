// GET /metrics.

import type { Door } from "./door.ts";

export function exposeMetrics({ registry }: Door): Response {
  return new Response(registry.expose(), {
    headers: { "content-type": "text/plain; version=0.0.4; charset=utf-8" },
  });
}
