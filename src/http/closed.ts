// What callers are told while the router takes nothing new.

import { errorResponse } from "./errors.ts";

/** Said with 503 while the router is not taking requests. */
const comeBackMs = 1000;

export function closed(
  phase: "starting" | "draining",
  more: Readonly<Record<string, string>> = {},
): Response {
  const message =
    phase === "starting"
      ? "The router is starting. Try again shortly."
      : "The router is draining and takes no new requests. Try again on another host.";
  const headers = phase === "draining" ? { ...more, "x-tierline-because": phase } : more;
  return errorResponse(phase, message, { retryAfterMs: comeBackMs, headers });
}
