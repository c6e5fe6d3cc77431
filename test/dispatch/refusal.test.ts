// What a caller is told when there is no answer, row by row.

import { describe, expect, test } from "bun:test";
import { refusalOf } from "../../src/dispatch/refusal.ts";
import type { OutcomeKind } from "../../src/fleet/outcome.ts";
import { outcomes } from "../../src/fleet/outcome.ts";
import type { Shed, ShedReason } from "../../src/routing/decision.ts";

const dice = (): number => 0.5;
const tried = (...kinds: OutcomeKind[]) =>
  kinds.map((outcome, index) => ({ endpoint: `e${index}`, outcome }));
const shed = (because: ShedReason): Shed => ({ do: "shed", because, retryAfterMs: 123 });

const rows: readonly (readonly [OutcomeKind[], late: boolean, ShedReason | undefined, string])[] = [
  // Nothing was tried: routing's own reason.
  [[], false, "pool-full", "tier_overloaded 123"],
  [[], false, "queue-full", "tier_overloaded 123"],
  [[], false, "too-late", "tier_overloaded 123"],
  [[], false, "no-endpoint", "no_endpoint 123"],
  [[], false, "draining", "draining 123"],
  // Time was the cause.
  [[], true, undefined, "deadline_exceeded"],
  [[], true, "queue-full", "deadline_exceeded"],
  [["deadline"], true, undefined, "deadline_exceeded"],
  [["server-error", "deadline"], true, undefined, "deadline_exceeded"],
  [["timeout"], false, "no-endpoint", "deadline_exceeded"],
  [["timeout", "silent"], false, "no-endpoint", "deadline_exceeded"],
  // The engines were.
  [["refused"], false, "no-endpoint", "upstream_failed"],
  [["server-error"], false, "queue-full", "upstream_failed"],
  [["timeout", "refused"], false, "no-endpoint", "upstream_failed"],
  [["garbage", "truncated", "reset"], false, undefined, "upstream_failed"],
  // They said that they are full.
  [["busy"], false, "no-endpoint", "tier_overloaded 250"],
  [["server-error", "busy"], false, undefined, "tier_overloaded 250"],
];

describe("refusalOf", () => {
  for (const [kinds, late, because, expected] of rows) {
    const title = `${kinds.join(", ") || "nothing"} tried${late ? ", late" : ""}${because === undefined ? "" : `, then ${because}`}`;
    test(`${title}: ${expected}`, () => {
      const shedding = because === undefined ? undefined : shed(because);
      const { code, retryAfterMs } = refusalOf(tried(...kinds), late, shedding, dice);
      expect(retryAfterMs === undefined ? code : `${code} ${retryAfterMs}`).toBe(expected);
    });
  }

  test("passes on the longest time that a full engine asked for, in whole milliseconds", () => {
    const attempts = [
      { endpoint: "a", outcome: "busy", retryAfterMs: 300.5 },
      { endpoint: "b", outcome: "busy", retryAfterMs: 20 },
    ] as const;
    expect(refusalOf(attempts, false, undefined, dice).retryAfterMs).toBe(301);
  });

  test("names every endpoint tried, and what it said", () => {
    const attempts = [
      { endpoint: "g/vllm", outcome: "server-error", why: "status 500: boom" },
      { endpoint: "s/vllm", outcome: "refused" },
    ] as const;
    expect(refusalOf(attempts, false, undefined, dice).message).toBe(
      "No engine gave a usable answer. Tried: g/vllm: status 500: boom; s/vllm: refused.",
    );
  });

  test("has a sentence for every outcome and reason", () => {
    for (const kind of Object.keys(outcomes) as OutcomeKind[]) {
      expect(refusalOf(tried(kind), false, undefined, dice).message).toMatch(/^[A-Z].*\.$/);
    }
  });
});
