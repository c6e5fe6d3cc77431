// The account of each request: which of them get a line of the log.

import { expect, test } from "bun:test";
import pino from "pino";
import type { Dispatched } from "../../src/dispatch/dispatch.ts";
import { createRequestAccount } from "../../src/http/request-account.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { createRegistry } from "../../src/telemetry/registry.ts";
import { inference } from "../support/inference.ts";
import { virtualClock } from "../support/virtual-clock.ts";

const shed: Dispatched = {
  kind: "refusal",
  code: "tier_overloaded",
  message: "full",
  retryAfterMs: 100,
  journey: { tried: [], queuedMs: 0, engineMs: 0, because: "pool-full" },
};

function accountAt(level: string) {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const clock = virtualClock();
  const account = createRequestAccount(createMetrics(createRegistry()), log, clock);
  return {
    lines,
    clock,
    finish: () => account.finished(inference(clock.now()), shed, "tier_overloaded", 429),
  };
}

test("a storm of refusals is no storm of lines, and the next line says how many were left out", async () => {
  const { lines, clock, finish } = accountAt("info");
  for (let count = 0; count < 10_000; count += 1) finish();
  expect(lines.length).toBe(200);
  await clock.advance(1000);
  finish();
  expect(lines.length).toBe(201);
  expect(lines.at(-1)).toMatchObject({ msg: "request tier_overloaded", left_out: 9800 });
  finish();
  expect(lines.at(-1)).not.toHaveProperty("left_out");
});

test("at level debug every request has its line", () => {
  const { lines, finish } = accountAt("debug");
  for (let count = 0; count < 1000; count += 1) finish();
  expect(lines.length).toBe(1000);
});
