// llama.cpp's `llama-server`.

import type { Dialect } from "./dialect.ts";
import type { EngineGauges } from "./gauges.ts";
import { unlessEmpty } from "./gauges.ts";
import type { IntentConstraint } from "./intent-constraint.ts";
import { unconstrained } from "./intent-constraint.ts";
import { oneToken, readErrorBody, readHealthStatus, readModelList, readStatus } from "./openai-wire.ts";
import { sumOf } from "./prometheus-text.ts";

/** Its odds are those of all tokens, grammar or not. Beyond so many of them it would sample none (`--top-k`). */
const alternatives = 40;

const grammar: IntentConstraint = {
  name: "grammar",
  binds: true,
  members: (letters) => ({
    grammar: `root ::= ${letters.map((letter) => `"${letter}"`).join(" | ")}`,
    top_logprobs: alternatives,
  }),
};

export const llamaCpp: Dialect = {
  kind: "llama-cpp",
  // 503 while the model is being loaded.
  health: { path: "/health", read: readHealthStatus },
  models: { path: "/v1/models", read: readModelList },
  // Only there with `--metrics`, and then without a figure for the KV cache.
  gauges: { path: "/metrics", timeoutMs: 2000, everyMs: 2000, read: readMetrics },
  requestHeaders: [],
  readError: readErrorBody,
  verdict: readStatus,
  oneToken,
  intentConstraints: [grammar, unconstrained],
};

function readMetrics(status: number, body: string): EngineGauges | undefined {
  if (status !== 200) return undefined;
  return unlessEmpty({
    running: sumOf(body, "llamacpp:requests_processing"),
    waiting: sumOf(body, "llamacpp:requests_deferred"),
    generatedTokens: sumOf(body, "llamacpp:tokens_predicted_total"),
  });
}
