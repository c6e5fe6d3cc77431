// How endpoints stand: situation by situation, and which of two troubles is the one that is said.

import { describe, expect, test } from "bun:test";
import type { Standing } from "../../src/fleet/standing.ts";
import { standingOf } from "../../src/fleet/standing.ts";
import type { Seen } from "../support/views.ts";
import { view } from "../support/views.ts";

const situations: readonly (readonly [Standing, Seen])[] = [
  ["ok", {}],
  ["ok", { models: ["a", "b"], open: ["a"] }],
  ["breaker-open", { models: ["a", "b"], open: ["a", "b"] }],
  ["unhealthy", { health: "unhealthy", silent: true }],
  ["models-unknown", { models: "unsaid", barred: true }],
  ["models-unknown", { models: [] }],
  ["silent", { silent: true, open: "all" }],
  ["barred", { barred: true, open: "all" }],
  ["breaker-open", { open: "all", pushedBack: true }],
  ["pushed-back", { pushedBack: true, inflight: 2 }],
  ["full", { inflight: 2 }],
  ["ok", { peer: {} }],
  ["suspect", { peer: { suspect: true, refusal: "stale" } }],
  ["draining", { peer: { refusal: "draining" }, barred: true }],
  ["stale", { peer: { refusal: "stale" } }],
  ["troubled-there", { peer: { refusal: "troubled-there" } }],
  ["full", { peer: { free: 0 } }],
];

describe("an endpoint's standing", () => {
  for (const [standing, seen] of situations) {
    test(`is ${standing} with ${JSON.stringify(seen)}`, () => {
      expect(standingOf(view("h/e", seen), 1_000_000)).toBe(standing);
    });
  }
});
