// What an answer of another router means: its engine's own where nothing is refused, the router's where something is.

import { describe, expect, test } from "bun:test";
import { dialects, engineKinds } from "../../src/engines/engine.ts";
import { peer } from "../../src/engines/peer.ts";

describe("the dialect of another router", () => {
  test("is none that anybody can configure", () => {
    expect(Object.values(dialects)).not.toContain(peer);
    expect(engineKinds).not.toContain("peer");
  });

  test("reads what its engine says as that of any engine", () => {
    for (const status of [200, 202, 307, 400, 401, 404, 413, 429, 500, 502, 503, 504])
      expect([status, peer.verdict(status)]).toEqual([status, dialects.openai.verdict(status)]);
  });

  for (const [status, refused, verdict] of [
    [429, "tier_overloaded", "busy"],
    [503, "no_endpoint", "busy"],
    [503, "draining", "busy"],
    [503, "starting", "busy"],
    [401, "stale", "server-error"],
    [403, "wrong-key", "server-error"],
    [404, "model_not_found", "server-error"],
    [400, "invalid_request", "declined"],
    [408, "request_timeout", "declined"],
    [413, "request_too_large", "declined"],
    [431, "not-forwarded", "declined"],
    [502, "upstream_failed", "server-error"],
    [200, "no_endpoint", "server-error"],
    [401, "not-forwarded", "server-error"],
    [504, "deadline_exceeded", "late"],
  ] as const) {
    test(`reads ${status} refused there as ${refused} as ${verdict}, and never as our caller's mistake`, () => {
      expect(peer.verdict(status, refused)).toBe(verdict);
    });
  }

  test("finds the message in a router's own error", () => {
    const body = '{"error":{"message":"Every engine is full.","type":"overloaded","code":"tier_overloaded"}}';
    expect(peer.readError(429, body)).toEqual({ message: "Every engine is full." });
  });
});
