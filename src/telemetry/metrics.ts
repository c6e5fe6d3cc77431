// The metrics that are counted while requests pass: a row each. Figures that are merely read are gauges, and
// registered by whoever owns them.

import type { Registry } from "./registry.ts";

/** Fine around the Gold budget of 16 ms, coarse up to the longest story. */
const secondsBounds: readonly number[] = [
  0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.01, 0.012, 0.014, 0.016, 0.02, 0.025, 0.033, 0.05, 0.1, 0.25,
  0.5, 1, 2.5, 5, 10, 30, 60, 120, 300,
];
/** Time inside the router is a matter of microseconds. */
const overheadBounds: readonly number[] = [
  0.00005, 0.0001, 0.0002, 0.0003, 0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.033, 0.1,
];

/** A hit is a matter of microseconds, a miss of the NPC's deadline, which may be as long as ten seconds. */
const intentBounds: readonly number[] = [
  0.00001, 0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.004, 0.006, 0.008, 0.01, 0.012, 0.014,
  0.016, 0.02, 0.033, 0.05, 0.1, 0.25, 1, 10,
];

export type Metrics = ReturnType<typeof createMetrics>;

export function createMetrics(registry: Registry) {
  return {
    requests: registry.counter("tierline_requests_total", "Inference requests, by how they ended.", [
      "sla",
      "tier",
      "locality",
      "outcome",
    ]),
    forwarded: registry.counter(
      "tierline_forwarded_requests_total",
      "Inference requests that other routers forwarded to this one, by how they ended. Their first router counts them as requests.",
      ["tier", "body", "outcome"],
    ),
    requestSeconds: registry.histogram(
      "tierline_request_duration_seconds",
      "From the last byte of the request's head to the last byte of the answer.",
      ["sla", "tier"],
      secondsBounds,
    ),
    firstByteSeconds: registry.histogram(
      "tierline_time_to_first_byte_seconds",
      "From the request's head until its answer could begin: with the first event of a stream, with the whole of the rest.",
      ["sla", "tier"],
      secondsBounds,
    ),
    overheadSeconds: registry.histogram(
      "tierline_overhead_seconds",
      "Time of a request inside the router, parsing included, waiting for an engine or a slot excluded.",
      [],
      overheadBounds,
    ),
    attempts: registry.counter("tierline_attempts_total", "Calls to endpoints, by how they ended.", [
      "endpoint",
      "outcome",
    ]),
    retries: registry.counter(
      "tierline_retries_total",
      "Attempts after the first of a request, hedges not among them.",
      [],
    ),
    hedges: registry.counter(
      "tierline_hedges_total",
      "Second calls beside one that was slow with its first byte: won where their answer was taken, lost where it was not.",
      ["outcome"],
    ),
    shed: registry.counter("tierline_shed_total", "Requests refused early, by reason.", ["sla", "because"]),
    intents: registry.counter("tierline_intents_total", "NPC intents answered, by where from.", [
      "archetype",
      "source",
    ]),
    intentSeconds: registry.histogram(
      "tierline_intent_duration_seconds",
      "From the request's head until an intent's answer was known.",
      [],
      intentBounds,
    ),
    intentQuestions: registry.counter(
      "tierline_intent_questions_total",
      "Questions for engines about situations: answered, failed, unreadable (an answer without odds), or dropped before they were sent.",
      ["outcome"],
    ),
    tokens: registry.counter("tierline_tokens_total", "Tokens, as far as engines report them.", [
      "tier",
      "direction",
    ]),
  };
}
