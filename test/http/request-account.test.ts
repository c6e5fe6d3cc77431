// The account of each request: which of them get a line of the log.

import { expect, test } from "bun:test";
import pino from "pino";
import type { Dispatched, Journey } from "../../src/dispatch/dispatched.ts";
import type { Forwarded } from "../../src/host/forwarded.ts";
import type { RequestAccount } from "../../src/http/request-account.ts";
import { createRequestAccount } from "../../src/http/request-account.ts";
import { traceOf } from "../../src/http/request-headers.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { createRegistry } from "../../src/telemetry/registry.ts";
import { inference } from "../support/inference.ts";
import { virtualClock } from "../support/virtual-clock.ts";

type Origin = Parameters<RequestAccount["finished"]>[4];

const shed: Dispatched = {
  kind: "refusal",
  code: "tier_overloaded",
  message: "full",
  retryAfterMs: 100,
  journey: { tried: [], queuedMs: 0, engineMs: 0, because: "pool-full" },
};

const trace = traceOf(null);
const fromPeer = (more: Partial<Forwarded> = {}): Origin => ({
  trace,
  fromPeer: {
    from: "silver-1",
    forwarded: {
      caller: undefined,
      tier: "gold",
      endpoint: "gold-1/vllm",
      model: "any",
      body: "request",
      ...more,
    },
  },
});

function answered(because: Journey["because"]): Dispatched {
  return {
    kind: "answer",
    status: 200,
    headers: [],
    body: new Uint8Array(),
    answeredBy: { name: "gold-1/vllm", tier: "gold", locality: "peer" },
    attempts: 1,
    answeredAt: virtualClock().now(),
    journey: { tried: [], queuedMs: 0, engineMs: 1, because },
    cache: "off",
  };
}

function accountAt(level: string) {
  const lines: Record<string, unknown>[] = [];
  const log = pino({ level }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const clock = virtualClock();
  const registry = createRegistry();
  const account = createRequestAccount(createMetrics(registry), log, clock);
  return {
    lines,
    clock,
    finish: () => account.finished(inference(clock.now()), shed, "tier_overloaded", 429, { trace }),
    answer: (because: Journey["because"], origin: Origin = { trace }) =>
      account.finished(inference(clock.now()), answered(because), "complete", 200, origin),
    shed: (origin: Origin) => account.finished(inference(clock.now()), shed, "tier_overloaded", 429, origin),
    account,
    retries: () =>
      registry
        .expose()
        .split("\n")
        .find((line) => line.startsWith("tierline_retries_total ")),
    /** The series of these names. */
    counted: (...names: string[]) =>
      registry
        .expose()
        .split("\n")
        .filter((line) => names.some((name) => line.startsWith(`${name}{`))),
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

test("a hedge is an attempt and no retry", () => {
  const { account, clock, retries } = accountAt("info");
  const twice = (journey: Partial<Journey>): void => {
    const plain = answered("local-first");
    const dispatched = { ...plain, attempts: 2, journey: { ...plain.journey, ...journey } };
    account.finished(inference(clock.now()), dispatched, "complete", 200, { trace });
  };
  twice({ because: "hedge", hedge: "won" });
  twice({ hedge: "lost" });
  expect(retries()).toBe("tierline_retries_total 0");
  twice({ because: "retry-after-busy" });
  expect(retries()).toBe("tierline_retries_total 1");
});

test("at level debug every request has its line", () => {
  const { lines, finish } = accountAt("debug");
  for (let count = 0; count < 1000; count += 1) finish();
  expect(lines.length).toBe(1000);
});

for (const because of [
  "local-first",
  "local-only",
  "local-full",
  "affinity",
  "not-local",
  "peer-less-pressed",
  "draining",
  "cached",
  "joined",
] as const) {
  test(`a fleet that works as it is meant to logs one in a hundred of its requests: ${because}`, () => {
    const { lines, answer } = accountAt("info");
    for (let count = 0; count < 1000; count += 1) answer(because);
    expect(lines.length).toBe(10);
    expect(lines[0]).toMatchObject({ msg: "request", because, locality: "peer" });
  });
}

for (const because of [
  "local-unhealthy",
  "breaker-open-locally",
  "fallback-from-gold",
  "retry-after-busy",
  "panic",
] as const) {
  test(`every request has its line where something is wrong: ${because}`, () => {
    const { lines, answer } = accountAt("info");
    for (let count = 0; count < 20; count += 1) answer(because);
    expect(lines.length).toBe(20);
  });
}

test("a line carries the trace and the router that sent the request, so that both hosts' lines can be joined", () => {
  const { lines, answer } = accountAt("debug");
  answer("local-only", fromPeer());
  answer("local-first");
  const traceId = trace.own.split("-")[1];
  expect(lines[0]).toMatchObject({ trace: traceId, from: "silver-1" });
  expect(lines[1]).toMatchObject({ trace: traceId });
  expect(lines[1]).not.toHaveProperty("from");
});

test("a forwarded request that finds no room is its first router's to tell of", () => {
  const { lines, shed } = accountAt("info");
  for (let count = 0; count < 200; count += 1) shed(fromPeer());
  expect(lines.length).toBe(2);
  expect(lines[0]).toMatchObject({ msg: "request tier_overloaded", from: "silver-1" });
});

test("forwarded questions have no line below debug, like a host's own", () => {
  const { lines, answer, shed } = accountAt("info");
  for (let count = 0; count < 200; count += 1) answer("local-only", fromPeer({ body: "question" }));
  shed(fromPeer({ body: "question" }));
  expect(lines).toEqual([]);
});

test("what is forwarded is counted as forwarded, by tier and kind, and as nobody's request here", () => {
  const { answer, shed, account, counted } = accountAt("silent");
  answer("local-only", fromPeer());
  answer("local-only", fromPeer({ body: "question" }));
  shed(fromPeer({ tier: "silver" }));
  account.rejected("draining", fromPeer());
  account.rejected("invalid_request", { trace });
  const counters = counted(
    "tierline_forwarded_requests_total",
    "tierline_requests_total",
    "tierline_shed_total",
  );
  expect(counters.toSorted()).toEqual([
    'tierline_forwarded_requests_total{tier="gold",body="question",outcome="ok"} 1',
    'tierline_forwarded_requests_total{tier="gold",body="request",outcome="draining"} 1',
    'tierline_forwarded_requests_total{tier="gold",body="request",outcome="ok"} 1',
    'tierline_forwarded_requests_total{tier="silver",body="request",outcome="tier_overloaded"} 1',
    'tierline_requests_total{sla="none",tier="none",locality="none",outcome="invalid_request"} 1',
  ]);
});

test("a line has its times to the hundredth of a millisecond, and says each attempt's outcome once", () => {
  const { lines, clock, account } = accountAt("info");
  const attempt = (outcome: "refused" | "truncated", why: string) => ({
    endpoint: "gold-1/vllm",
    outcome,
    because: "local-first" as const,
    ms: 0.123456789,
    why,
    retryAfterMs: undefined,
  });
  const tried = [attempt("refused", "refused: Failed to connect"), attempt("truncated", "closed: no head")];
  const journey: Journey = { tried, queuedMs: 1.005999, engineMs: 10.987654321, because: "no-endpoint" };
  const request = { ...inference(clock.now()), receivedAt: clock.now() - 12.34567 };
  account.finished(request, { ...shed, journey }, "upstream_failed", 502, { trace });
  expect(lines[0]).toMatchObject({
    tried: [
      { outcome: "refused", ms: 0.12, why: "Failed to connect" },
      { outcome: "truncated", ms: 0.12, why: "closed: no head" },
    ],
    queued_ms: 1.01,
    engine_ms: 10.99,
    total_ms: 12.35,
  });
});
